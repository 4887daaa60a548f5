// The examples' pages as axe judges them, in every state that they can be in. With SCREENSHOTS=folder it leaves pictures.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import { buildApp } from "../../examples/react-app/build.mjs";
import { audit } from "./support/audit.ts";
import { launch, Person, skip } from "./support/browser.ts";
import { vanilla } from "./support/pages.ts";
import { Stage } from "./support/stage.ts";

const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 320, height: 640 };
const LOOKS: [name: string, options: BrowserContextOptions][] = [
  ["light", { viewport: WIDE, colorScheme: "light" }],
  ["dark", { viewport: WIDE, colorScheme: "dark" }],
  ["narrow-light", { viewport: NARROW, colorScheme: "light" }],
  ["narrow-dark", { viewport: NARROW, colorScheme: "dark" }],
];
const LONG_NAME = "programa-com-um-nome-que-nao-cabe-em-linha-nenhuma.exe";
const SEVERITIES = ["low", "medium", "high", "critical"];
const FINDINGS = [
  { type: "investigation_progress", data: { progress: 0.5, message: "Comparando fornecedores" } },
  ...SEVERITIES.map((severity) => ({ type: "anomaly_detected", data: { severity, description: "Contrato 977" } })),
];
const NOTICES = ["Relatório pronto", "Nova investigação", "Contrato novo"].map((title) => ({
  type: "notification",
  data: { title, message: "Investigação sobre pontes" },
}));

let browser: Browser;

before(async () => {
  if (!skip) browser = await launch();
});
after(() => browser?.close());

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `access-${name}.png`), animations: "disabled" });
}

async function choose(page: Page, pane: string): Promise<void> {
  const button = page.getByRole("button", { name: pane });
  if (await button.isVisible()) await button.click();
}

async function attach(page: Page, name: string, mimeType: string): Promise<void> {
  const buffer = Buffer.from("nota fiscal");
  await page.getByLabel("Anexar arquivos").setInputFiles({ name, mimeType, buffer });
}

describe("the React example's page has no fault that axe finds", { skip }, () => {
  let stage: Stage<TestWorker>;

  before(async () => {
    if (skip) return;
    const build = (outdir: string) => buildApp({ outdir });
    stage = await Stage.with(build, (settings) => TestWorker.start({ settings }));
  });
  after(() => stage?.[Symbol.asyncDispose]());

  for (const [name, options] of LOOKS) {
    it(`empty, with findings, notices, files and people, while an answer grows, and offline: ${name}`, async () => {
      await using ana = await Person.of(browser, options);
      await using bia = await Person.of(browser);
      const page = await ana.open(stage.page(`ana-${name}`, name));
      await page.locator('.badge[data-status="connected"]').waitFor();
      assert.deepEqual(await audit(page), [], "empty");

      await stage.publish(`/investigations/${name}`, FINDINGS);
      await page
        .locator(".anomaly")
        .nth(SEVERITIES.length - 1)
        .waitFor();
      await stage.publish(`/users/ana-${name}`, NOTICES);
      await page
        .locator(".notices li")
        .nth(NOTICES.length - 1)
        .waitFor();
      assert.deepEqual(await audit(page), [], "with findings and notices");
      await picture(page, `${name}-notices`);

      await choose(page, "Conversa");
      const other = await bia.open(stage.page("bia", name));
      await other.getByLabel("Mensagem", { exact: true }).fill("Já viram o contrato 42?");
      await other.getByLabel("Mensagem", { exact: true }).press("Enter");
      const call = await stage.agent.next();
      await call.write("Foi a Ana, ");
      await page.locator(".answer").getByText("Foi a Ana, ").waitFor();
      assert.deepEqual(await audit(page), [], "while an answer grows");
      await call.done();
      await attach(page, "nota.txt", "text/plain");
      await page.locator(".file").getByText("nota.txt").waitFor();
      await attach(page, LONG_NAME, "application/x-msdownload");
      await page.locator('.uploads li[data-status="failed"]').waitFor();
      assert.deepEqual(await audit(page), [], "with a file, and one that is refused");
      await picture(page, `${name}-files`);

      stage.network.cut();
      await page.locator(".banner").waitFor();
      await page.getByLabel("Mensagem", { exact: true }).fill("E o 977?");
      await page.getByLabel("Mensagem", { exact: true }).press("Enter");
      await page.locator('.said[data-status="sending"]').waitFor();
      assert.deepEqual(await audit(page), [], "offline");
      await picture(page, `${name}-offline`);
      stage.network.mend();
      await (await stage.agent.next()).done();
    });
  }
});

describe("the page without a bundler has no fault that axe finds", { skip }, () => {
  let stage: Stage;

  before(async () => {
    if (!skip) stage = await Stage.set(vanilla);
  });
  after(() => stage?.[Symbol.asyncDispose]());

  for (const [name, options] of LOOKS) {
    it(`with findings and an answer: ${name}`, async () => {
      await using ana = await Person.of(browser, options);
      const page = await ana.open(stage.page("ana", name));
      await page.getByText("Ao vivo", { exact: true }).waitFor();
      assert.deepEqual(await audit(page), [], "empty");
      await stage.publish(`/investigations/${name}`, FINDINGS);
      await page.getByLabel("Pergunta").fill("Quem assinou o contrato?");
      await page.getByLabel("Pergunta").press("Enter");
      const call = await stage.agent.next();
      await call.write("Foi a Ana");
      await page.locator("#answer").getByText("Foi a Ana").waitFor();
      assert.deepEqual(await audit(page), [], "while an answer grows");
      assert.equal(await page.getByRole("status").last().textContent(), "");
      await call.write(", em maio.");
      await call.done();
      await page.locator("#whole").getByText("Foi a Ana, em maio.").waitFor();
      assert.deepEqual(await audit(page), [], "with an answer");
      await picture(page, `vanilla-${name}`);
    });
  }
});
