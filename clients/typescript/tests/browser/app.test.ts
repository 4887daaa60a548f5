// The React example in Chromium, against the built worker.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import type { Call } from "../../../../miniflare-tests/support/agent.ts";
import { buildApp } from "../../examples/react-app/build.mjs";
import { Person, skip } from "./support/browser.ts";
import { sceneOf } from "./support/scene.ts";
import { Stage } from "./support/stage.ts";

// Only a development build mounts everything twice in StrictMode.
const scene = sceneOf(() => Stage.set((outdir) => buildApp({ outdir, mode: "development" })));

const live = (page: Page) => page.locator('.badge[data-status="connected"]').waitFor();
const answerOf = (page: Page) => page.locator(".answer p:not(.stage)");

/** Waits until an element's whole text is this. */
async function reads(page: Page, selector: string, text: string): Promise<void> {
  await page.waitForFunction(
    ([selector, text]) => {
      const found = [...document.querySelectorAll(selector as string)];
      return found.some(({ textContent }) => textContent === text);
    },
    [selector, text],
  );
}

async function ask(page: Page, text: string): Promise<Call> {
  await page.getByLabel("Mensagem", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Enviar", exact: true }).click();
  return scene.stage.agent.next();
}

describe("the React example", { skip }, () => {
  it("opens one connection and one chat, though StrictMode mounts everything twice", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "strict"));
    await live(page);
    await page.getByRole("list", { name: "1 pessoa na conversa" }).waitFor();
    await scene.stage.publish("/investigations/strict", {
      type: "anomaly_detected",
      data: { severity: "high", description: "Contrato 42" },
    });
    await page.locator(".anomaly").getByText("Contrato 42").waitFor();
    assert.deepEqual([...ana.sockets].sort(), ["/api/v1/ws", "/api/v1/ws/chat/strict"]);
    assert.deepEqual(ana.problems, []);
  });

  it("shows what was found before it came, and after", async () => {
    const found = (description: string) => ({ type: "anomaly_detected", data: { severity: "low", description } });
    await scene.stage.publish("/investigations/history", [found("primeiro"), found("segundo")]);
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "history"));
    await page.locator(".anomaly").getByText("segundo").waitFor();
    await live(page);
    await scene.stage.publish("/investigations/history", found("terceiro"));
    await page.locator(".anomaly").getByText("terceiro").waitFor();
    assert.deepEqual(await page.locator(".anomaly p").allTextContents(), ["terceiro", "segundo", "primeiro"]);
  });

  it("shows an answer as it is written, and loses and doubles nothing when the connection drops in between", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "drop"));
    await live(page);
    const call = await ask(page, "Quem assinou?");
    await call.write("Foi ");
    await reads(page, ".answer p", "Foi ");
    scene.stage.network.cut();
    await page.locator('.badge[data-status="waiting"]').waitFor();
    await call.write("a Ana, ");
    scene.stage.network.mend();
    await reads(page, ".answer p", "Foi a Ana, ");
    await call.write("em maio.");
    await reads(page, ".answer p", "Foi a Ana, em maio.");
    await call.done();
    await page.locator('.answer[data-status="completed"]').waitFor();
    assert.deepEqual(await answerOf(page).allTextContents(), ["Foi a Ana, em maio."]);
    assert.equal(await page.locator(".said").count(), 1);
    assert.equal(scene.stage.agent.waiting, 0, "it was asked once");
  });

  it("keeps what is said without a network, and sends it once when the network is back", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "offline"));
    await live(page);
    scene.stage.network.cut();
    await ana.context.setOffline(true);
    await page.locator(".banner").waitFor();
    await page.getByLabel("Mensagem", { exact: true }).fill("Ainda aqui?");
    await page.getByRole("button", { name: "Enviar", exact: true }).click();
    await page.locator('.said[data-status="sending"]').waitFor();
    scene.stage.network.mend();
    await ana.context.setOffline(false);
    const call = await scene.stage.agent.next();
    await call.write("Sim.");
    await call.done();
    await reads(page, ".answer p", "Sim.");
    await page.locator('.said[data-status="sent"]').waitFor();
    await page.getByRole("alert").waitFor({ state: "detached" });
    const said = (await scene.stage.log("/chat/offline")).filter(({ type }) => type === "chat");
    assert.equal(said.length, 1);
  });

  it("shows the end of an answer in whose middle the worker was killed", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "killed"));
    await live(page);
    const call = await ask(page, "Quem?");
    await call.write("Foi ");
    await reads(page, ".answer p", "Foi ");
    await scene.stage.worker.kill();
    await page.locator('.badge[data-status="waiting"]').waitFor();
    await scene.stage.worker.restart();
    await page.locator(".answer:not([data-status=answering])").waitFor();
    const [end] = (await scene.stage.log("/chat/killed")).filter(({ type }) => type === "chat_complete");
    assert.equal(await page.locator(".answer").getAttribute("data-status"), end.data.status);
    assert.equal((await answerOf(page).allTextContents()).join(""), end.data.content);
    assert.equal(await page.locator(".said").count(), 1);
  });

  it("shows in both windows what is said in one, and the answer", async () => {
    await using ana = await Person.of(scene.browser);
    const one = await ana.open(scene.stage.page("ana", "windows"));
    const two = await ana.open(scene.stage.page("ana", "windows"));
    await Promise.all([live(one), live(two)]);
    const call = await ask(one, "Quem?");
    await call.write("Foi ");
    for (const page of [one, two]) await reads(page, ".answer p", "Foi ");
    await call.write("a Ana.");
    await call.done();
    for (const page of [one, two]) {
      await reads(page, ".answer p", "Foi a Ana.");
      assert.deepEqual(await page.locator('.said[data-own="true"] p').allTextContents(), ["Quem?"]);
    }
    assert.equal(scene.stage.agent.waiting, 0, "it was asked once");
  });

  it("stops an answer", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "stop"));
    await live(page);
    const call = await ask(page, "Quem?");
    await call.write("Foi ");
    await reads(page, ".answer p", "Foi ");
    await page.getByRole("button", { name: "Parar" }).click();
    assert.equal(await call.closed, "aborted");
    await page.locator('.answer[data-status="cancelled"]').waitFor();
  });

  it("tells two people of each other: who is there, who types, what is said", async () => {
    await using ana = await Person.of(scene.browser);
    await using bia = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "people"));
    await live(page);
    const other = await bia.open(scene.stage.page("bia", "people"));
    await page.getByRole("list", { name: "2 pessoas na conversa" }).waitFor();
    await other.getByLabel("Mensagem", { exact: true }).pressSequentially("Oi");
    await page.getByText("bia está digitando…").waitFor();
    await other.getByLabel("Mensagem", { exact: true }).press("Enter");
    await page.locator('.said[data-own="false"]').getByText("Oi").waitFor();
    await page.getByText("bia está digitando…").waitFor({ state: "detached" });
    await (await scene.stage.agent.next()).done();
    await bia.context.close();
    await page.getByRole("list", { name: "1 pessoa na conversa" }).waitFor();
  });
});
