// How the React example looks. With SCREENSHOTS=folder it leaves pictures there, for people to judge.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { BrowserContextOptions, Page } from "playwright-core";
import { buildApp } from "../../examples/react-app/build.mjs";
import { Person, skip } from "./support/browser.ts";
import { sceneOf } from "./support/scene.ts";
import { Stage } from "./support/stage.ts";

const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 375, height: 740 };
const LOOKS: [name: string, options: BrowserContextOptions][] = [
  ["light", { viewport: WIDE, colorScheme: "light" }],
  ["dark", { viewport: WIDE, colorScheme: "dark" }],
  ["mobile-light", { viewport: NARROW, colorScheme: "light" }],
  ["mobile-dark", { viewport: NARROW, colorScheme: "dark" }],
];

const FINDINGS = [
  { type: "investigation_progress", data: { progress: 0.1, message: "Lendo 1.284 contratos" } },
  { type: "anomaly_detected", data: { severity: "low", description: "Contrato 7: assinado num domingo" } },
  { type: "anomaly_detected", data: { severity: "medium", description: "Contrato 42: preço 38% acima da mediana" } },
  { type: "investigation_progress", data: { progress: 0.62, message: "Comparando fornecedores" } },
  {
    type: "anomaly_detected",
    data: { severity: "high", description: "Fornecedor aberto há 12 dias venceu 3 licitações seguidas no mesmo órgão" },
  },
  { type: "anomaly_detected", data: { severity: "critical", description: "Contrato 977: pago duas vezes" } },
];
const SAID = [
  { type: "chat", data: { role: "user", content: "Já viram o contrato 42?", user_id: "bia" } },
  { type: "chat", data: { role: "user", content: "Vi. Vou perguntar ao agente.", user_id: "ana" } },
];
const ANSWER =
  "O contrato 42 custou R$ 1,2 milhão, 38% acima da mediana dos 17 contratos parecidos do mesmo ano.\n\n" +
  "Dois deles foram do mesmo fornecedor";

const scene = sceneOf(() => Stage.set((outdir) => buildApp({ outdir })));

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), animations: "disabled" });
}

const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Shows a part of the page where there is room for one only. */
async function choose(page: Page, pane: string): Promise<void> {
  const button = page.getByRole("button", { name: pane });
  if (await button.isVisible()) await button.click();
}

describe("the React example's page", { skip }, () => {
  for (const [name, options] of LOOKS) {
    it(`has everything in its width, ${name}`, async () => {
      await scene.stage.publish(`/investigations/${name}`, FINDINGS);
      await using ana = await Person.of(scene.browser, options);
      await using bia = await Person.of(scene.browser);
      const page = await ana.open(scene.stage.page("ana", name));
      await page.locator('.badge[data-status="connected"]').waitFor();
      await page.locator(".anomaly").getByText("Contrato 977").waitFor();
      assert.equal(await overflow(page), 0);
      await picture(page, `${name}-investigation`);
      await scene.stage.publish(`/chat/${name}`, SAID);
      await choose(page, "Conversa");
      const other = await bia.open(scene.stage.page("bia", name));
      await page.locator(".said").getByText("Vou perguntar").waitFor();
      await page.getByLabel("Mensagem", { exact: true }).fill("Por que o contrato 42 é suspeito?");
      await page.getByLabel("Mensagem", { exact: true }).press("Enter");
      const call = await scene.stage.agent.next();
      await call.write(ANSWER);
      await page.locator(".answer").getByText("mesmo fornecedor").waitFor();
      await other.getByLabel("Mensagem", { exact: true }).pressSequentially("Hm");
      await page.getByText("bia está digitando…").waitFor();
      assert.equal(await overflow(page), 0);
      await picture(page, name);
      await call.done();
      await page.locator('.answer[data-status="completed"]').waitFor();
      scene.stage.network.cut();
      await page.getByRole("alert").waitFor();
      await page.getByLabel("Mensagem", { exact: true }).fill("E o 977?");
      await page.getByLabel("Mensagem", { exact: true }).press("Enter");
      await picture(page, `${name}-offline`);
      assert.equal(await overflow(page), 0);
      scene.stage.network.mend();
      await (await scene.stage.agent.next()).done();
    });
  }
});
