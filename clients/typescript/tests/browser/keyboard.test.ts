// The React example without a mouse.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import { buildApp } from "../../examples/react-app/build.mjs";
import { Person, skip } from "./support/browser.ts";
import { sceneOf } from "./support/scene.ts";
import { Stage } from "./support/stage.ts";

const scene = sceneOf(() => Stage.set((outdir) => buildApp({ outdir })));

const live = (page: Page) => page.locator('.badge[data-status="connected"]').waitFor();
const field = (page: Page) => page.getByLabel("Mensagem", { exact: true });

interface Focus {
  name: string;
  isVisible: boolean;
}

/** What has the focus, and whether people see that. */
const focus = (page: Page): Promise<Focus> =>
  page.evaluate(() => {
    const element = document.activeElement as HTMLElement;
    // A file's input is not seen: its label stands for it.
    const shown = element.closest("label") ?? element;
    const { outlineStyle, outlineWidth } = getComputedStyle(shown);
    const name = element.ariaLabel ?? shown.textContent.trim();
    return { name, isVisible: outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2 };
  });

async function tab(page: Page, times: number): Promise<Focus[]> {
  const all: Focus[] = [];
  for (let time = 0; time < times; time += 1) {
    await page.keyboard.press("Tab");
    all.push(await focus(page));
  }
  return all;
}

const visible = (...names: string[]): Focus[] => names.map((name) => ({ name, isVisible: true }));

const notice = (title: string) => ({ type: "notification", data: { title } });

describe("the React example without a mouse", { skip }, () => {
  it("goes from top to bottom, and shows where it is", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("order", "order"));
    await live(page);
    await scene.stage.publish("/users/order", notice("Relatório pronto"));
    await page.locator(".notices li").waitFor();
    const list = ["Dispensar aviso", "O que foi encontrado", "Mensagens", "Anexar arquivos", "Mensagem", "Enviar"];
    assert.deepEqual(await tab(page, list.length), visible(...list));
  });

  it("reaches both parts of a narrow page", async () => {
    await using ana = await Person.of(scene.browser, { viewport: { width: 375, height: 740 } });
    const page = await ana.open(scene.stage.page("narrow", "narrow"));
    await live(page);
    const shown = ["Investigação", "Conversa", "O que foi encontrado"];
    assert.deepEqual(await tab(page, shown.length), visible(...shown));
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Enter");
    assert.equal((await focus(page)).name, "Conversa");
    assert.deepEqual(await tab(page, 3), visible("Mensagens", "Anexar arquivos", "Mensagem"));
  });

  it("asks with Enter, breaks lines with Shift, and stops an answer with Escape", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ask", "ask"));
    await live(page);
    await field(page).focus();
    await page.keyboard.type("Quem?");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("Quando?");
    await page.keyboard.press("Enter");
    assert.equal(await page.locator(".said p").textContent(), "Quem?\nQuando?");
    const call = await scene.stage.agent.next();
    await call.write("Foi ");
    await page.locator(".answer").getByText("Foi").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await call.closed, "aborted");
    await page.locator('.answer[data-status="cancelled"]').waitFor();
    assert.equal((await focus(page)).name, "Mensagem");
  });

  it("stays on the button that stops an answer, when that ends by itself", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("end", "end"));
    await live(page);
    await field(page).fill("Quem?");
    await field(page).press("Enter");
    const call = await scene.stage.agent.next();
    await call.write("Foi a Ana.");
    await page.getByRole("button", { name: "Parar" }).waitFor();
    assert.deepEqual(await tab(page, 1), visible("Parar"));
    await call.done();
    await page.locator('.answer[data-status="completed"]').waitFor();
    assert.deepEqual([await focus(page)], visible("Enviar"));
    await page.keyboard.press("Enter");
    assert.equal(await page.locator(".said").count(), 1, "an empty message is not sent");
  });

  it("goes from a notice that is put away to the next, and from the last on into the page", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("notices", "notices"));
    await live(page);
    await scene.stage.publish("/users/notices", [notice("Um"), notice("Dois")]);
    await page.locator(".notices li").nth(1).waitFor();
    await tab(page, 1);
    await page.keyboard.press("Enter");
    await page.getByText("Um", { exact: true }).waitFor({ state: "detached" });
    assert.deepEqual([await focus(page)], visible("Dispensar aviso"));
    await page.keyboard.press("Enter");
    await page.getByText("Dois", { exact: true }).waitFor({ state: "detached" });
    assert.deepEqual([await focus(page)], visible("O que foi encontrado"));
  });

  it("is where it was when the connection breaks and returns", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("broken", "broken"));
    await live(page);
    await field(page).focus();
    await page.keyboard.type("Quem ");
    scene.stage.network.cut();
    await page.locator(".banner").waitFor();
    await page.keyboard.type("assinou");
    scene.stage.network.mend();
    await live(page);
    await page.keyboard.type("?");
    assert.deepEqual([await focus(page)], visible("Mensagem"));
    assert.equal(await field(page).inputValue(), "Quem assinou?");
  });
});
