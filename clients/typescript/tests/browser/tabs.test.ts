// Tabs of one user that share a connection, in Chromium.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Page } from "playwright-core";
import { Person, skip } from "./support/browser.ts";
import { sceneOf } from "./support/scene.ts";
import { type Build, Stage } from "./support/stage.ts";

const TABS = fileURLToPath(new URL("../../src/tabs/index.ts", import.meta.url));

const SCRIPT = `
import { createTabsClient } from ${JSON.stringify(TABS)};
const query = new URLSearchParams(location.search);
const user = query.get("user");
const getToken = async () => (await fetch("/token?user=" + user)).text();
const client = createTabsClient({ url: query.get("server"), getToken, group: user });
const show = (list, text) => {
  const item = document.createElement("li");
  item.textContent = text;
  document.getElementById(list).append(item);
};
const room = client.investigation(query.get("investigation"));
room.on("*", ({ data }) => show("room", data.n));
room.on("@status", (status) => document.body.setAttribute("data-status", status));
client.on("*", ({ room, data }) => room.startsWith("user:") && show("own", data.n));
`;

const page: Build = async (folder) => {
  await build({
    stdin: { contents: SCRIPT, resolveDir: folder },
    outfile: join(folder, "main.js"),
    bundle: true,
    format: "esm",
  });
  const body = '<body><ol id="room"></ol><ol id="own"></ol><script type="module" src="main.js"></script></body>';
  await writeFile(join(folder, "index.html"), `<!doctype html><meta charset="utf-8" />${body}`);
};

const scene = sceneOf(() => Stage.set(page));

const live = (page: Page) => page.locator('body[data-status="live"]').waitFor({ state: "attached" });
const shown = (page: Page, list: string) => page.locator(`#${list} li`).allTextContents();
const count = (page: Page, list: string, number: number) => page.locator(`#${list} li:nth-child(${number})`).waitFor();

describe("tabs that share a connection", { skip }, () => {
  it("open one socket, and lose and double nothing when the one that has it is gone, however it went", async () => {
    await using ana = await Person.of(scene.browser);
    const tabs: Page[] = [];
    for (let tab = 0; tab < 3; tab += 1) {
      const opened = await ana.open(scene.stage.page("ana", "shared"));
      await live(opened);
      tabs.push(opened);
    }
    const [first, second, third] = tabs as [Page, Page, Page];
    await tell(1);
    for (const tab of tabs) await count(tab, "own", 1);
    assert.equal(ana.sockets.length, 1);

    await first.close();
    await tell(2);
    for (const tab of [second, third]) for (const list of ["room", "own"]) await count(tab, list, 2);
    assert.equal(ana.sockets.length, 2);

    const devtools = await ana.context.newCDPSession(second);
    const gone = new Promise((done) => second.once("crash", done));
    devtools.send("Page.crash").catch(() => {});
    await gone;
    await tell(3);
    for (const list of ["room", "own"]) await count(third, list, 3);
    assert.deepEqual(await shown(third, "room"), ["1", "2", "3"]);
    assert.deepEqual(await shown(third, "own"), ["1", "2", "3"]);
    assert.equal(ana.sockets.length, 3);
  });

  it("all come back when the worker was killed", async () => {
    await using ana = await Person.of(scene.browser);
    const tabs = [await ana.open(scene.stage.page("bia", "killed")), await ana.open(scene.stage.page("bia", "killed"))];
    for (const tab of tabs) await live(tab);
    await scene.stage.worker.kill();
    for (const tab of tabs) await tab.locator('body[data-status="pending"]').waitFor({ state: "attached" });
    await scene.stage.worker.restart();
    await scene.stage.publish("/investigations/killed", { type: "news", data: { n: 1 } });
    for (const tab of tabs) await count(tab, "room", 1);
    for (const tab of tabs) assert.deepEqual(await shown(tab, "room"), ["1"]);
  });
});

/** To the room, and then to the user. */
async function tell(n: number): Promise<void> {
  await scene.stage.publish("/investigations/shared", { type: "news", data: { n } });
  await scene.stage.publish("/users/ana", { type: "news", data: { n } });
}
