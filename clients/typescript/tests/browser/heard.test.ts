// What people hear of the examples whose screen is read to them, and what does not move for people who want that.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import { buildApp } from "../../examples/react-app/build.mjs";
import { Person, skip } from "./support/browser.ts";
import { sceneOf } from "./support/scene.ts";
import { Stage } from "./support/stage.ts";

const scene = sceneOf(() => Stage.set((outdir) => buildApp({ outdir })));

const live = (page: Page) => page.locator('.badge[data-status="connected"]').waitFor();

/** Keeps what a reader would announce: each text that comes into a live region. */
const listen = (page: Page) =>
  page.evaluate(() => {
    const LIVE = '[aria-live]:not([aria-live="off"]), [role="log"], [role="status"], [role="alert"], output';
    const heard: string[] = [];
    const hear = ({ target, addedNodes }: MutationRecord) => {
      const region = (target instanceof Element ? target : target.parentElement)?.closest(LIVE);
      const isOff = region?.getAttribute("aria-live") === "off";
      if (region && !isOff) heard.push(...(addedNodes.length > 0 ? [...addedNodes] : [target]).map(textOf));
    };
    const textOf = (node: Node) => node.textContent ?? "";
    new MutationObserver((records) => records.forEach(hear)).observe(document.body, {
      childList: true,
      characterData: true,
      subtree: true,
    });
    Object.assign(globalThis, { heard });
  });

const heard = async (page: Page): Promise<string[]> => {
  const all: string[] = await page.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
  return all.filter((text) => text !== "");
};

describe("whoever hears the React example", { skip }, () => {
  it("hears that an answer is under way, and then all of it once", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "answer"));
    await live(page);
    await listen(page);
    await page.getByLabel("Mensagem", { exact: true }).fill("Quem?");
    await page.getByLabel("Mensagem", { exact: true }).press("Enter");
    const call = await scene.stage.agent.next();
    for (const piece of ["Foi ", "a Ana, ", "em maio."]) {
      await call.write(piece);
      await page.locator(".answer").getByText(piece.trim()).waitFor();
    }
    assert.deepEqual(await heard(page), ["O agente está respondendo."]);
    await call.done();
    await page.getByRole("log").getByText("Agente: Foi a Ana, em maio.").waitFor();
    assert.deepEqual(await heard(page), ["O agente está respondendo.", "Agente: Foi a Ana, em maio."]);
  });

  it("hears what others say and what is found, and nothing of what was there before", async () => {
    const found = (description: string) => ({ type: "anomaly_detected", data: { severity: "high", description } });
    const said = (content: string, user_id: string) => ({ type: "chat", data: { role: "user", content, user_id } });
    await scene.stage.publish("/investigations/others", found("Contrato 1"));
    await scene.stage.publish("/chat/others", said("Antes", "bia"));
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "others"));
    await live(page);
    await page.locator(".anomaly").waitFor();
    await page.locator(".said").waitFor();
    await scene.stage.publish("/investigations/others", [
      { type: "investigation_progress", data: { progress: 0.5, message: "Comparando" } },
      found("Contrato 2"),
    ]);
    await scene.stage.publish("/chat/others", [said("Meu", "ana"), said("Depois", "bia")]);
    await page.getByRole("log").getByText("bia: Depois").waitFor();
    await page.getByRole("log").getByText("Contrato 2").waitFor();
    assert.deepEqual(await page.getByRole("log").locator("p").allTextContents(), [
      "Anomalia, gravidade alta: Contrato 2",
      "bia: Depois",
    ]);
  });

  it("hears once that the connection is gone, and that it is back", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "gone"));
    await live(page);
    await listen(page);
    scene.stage.network.cut();
    await page.locator('.banner[role="alert"]').waitFor();
    // The banner's role announces it as it comes.
    assert.deepEqual(await heard(page), []);
    scene.stage.network.mend();
    await live(page);
    assert.equal((await heard(page)).at(-1), "Ao vivo");
  });
});

describe("the React example's page", { skip }, () => {
  for (const [reducedMotion, animation] of [
    ["reduce", "none"],
    ["no-preference", "blink"],
  ] as const) {
    it(`moves only for people who let it: ${reducedMotion}`, async () => {
      await using ana = await Person.of(scene.browser, { reducedMotion });
      const page = await ana.open(scene.stage.page("ana", reducedMotion));
      await live(page);
      await page.getByLabel("Mensagem", { exact: true }).fill("Quem?");
      await page.getByLabel("Mensagem", { exact: true }).press("Enter");
      const call = await scene.stage.agent.next();
      await call.write("Foi ");
      const answer = page.locator(".answer").getByText("Foi");
      const moves = await answer.evaluate((element) => getComputedStyle(element, "::after").animationName);
      assert.equal(moves, animation);
      await call.done();
    });
  }
});
