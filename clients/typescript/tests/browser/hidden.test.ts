// Pages that are really hidden, in Chromium: as tabs behind another one. Playwright shows its own pages always, so these
// are opened beside them, and tell what they see in their titles.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { CDPSession } from "playwright-core";
import { skip } from "./support/browser.ts";
import { sceneOf } from "./support/scene.ts";
import { type Build, Stage } from "./support/stage.ts";

const CLIENT = fileURLToPath(new URL("../../src/index.ts", import.meta.url));
const PATIENCE = 40_000;

/** Chance always says the same, and until the first ping nothing happens just because time passes. */
const SCRIPT = `
import { createClient } from ${JSON.stringify(CLIENT)};
Math.random = () => 0.5;
const seen = { visibility: document.visibilityState, status: "", waits: [], pings: 0, heard: [] };
const show = (change) => { document.title = JSON.stringify(Object.assign(seen, change)); };
document.addEventListener("visibilitychange", () => show({ visibility: document.visibilityState }));
const wait = setTimeout;
globalThis.setTimeout = (act, ms) => wait(act, ms > 5_000 && seen.pings === 0 ? 2 ** 30 : ms);
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (String(data).includes('"ping"')) show({ pings: seen.pings + 1 });
  send.call(this, data);
};
const query = new URLSearchParams(location.search);
const getToken = async () => (await fetch("/token?user=" + query.get("user"))).text();
const client = createClient({ url: query.get("server"), getToken });
client.on("@state", (state) => {
  if (state.status === "waiting") show({ waits: [...seen.waits, state.retryAt - Date.now()] });
});
const room = client.investigation(query.get("investigation"));
room.on("*", ({ data }) => show({ heard: [...seen.heard, data.n] }));
room.on("@status", (status) => show({ status }));
`;

const page: Build = async (folder) => {
  await build({
    stdin: { contents: SCRIPT, resolveDir: folder },
    outfile: join(folder, "main.js"),
    bundle: true,
    format: "esm",
  });
  const body = '<body><script type="module" src="main.js"></script></body>';
  await writeFile(join(folder, "index.html"), `<!doctype html><meta charset="utf-8" />${body}`);
};

interface Seen {
  visibility: string;
  status: string;
  waits: number[];
  pings: number;
  heard: number[];
}

class Tab implements AsyncDisposable {
  readonly #devtools: CDPSession;
  readonly #targetId: string;

  private constructor(devtools: CDPSession, targetId: string) {
    this.#devtools = devtools;
    this.#targetId = targetId;
  }

  static async open(devtools: CDPSession, url: string): Promise<Tab> {
    const { targetId } = await devtools.send("Target.createTarget", { url });
    return new Tab(devtools, targetId);
  }

  /** In front of the others, which are hidden then. */
  async show(): Promise<void> {
    await this.#devtools.send("Target.activateTarget", { targetId: this.#targetId });
  }

  async until(isSo: (seen: Seen) => boolean, what: string): Promise<Seen> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      const seen = await this.#look();
      if (seen && isSo(seen)) return seen;
      if (Date.now() > end) throw new Error(`in vain waited until ${what}: ${JSON.stringify(seen)}`);
      await sleep(20);
    }
  }

  async #look(): Promise<Seen | undefined> {
    const { targetInfos } = await this.#devtools.send("Target.getTargets");
    const title = targetInfos.find(({ targetId }) => targetId === this.#targetId)?.title;
    return title?.startsWith("{") ? JSON.parse(title) : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#devtools.send("Target.closeTarget", { targetId: this.#targetId });
  }
}

const scene = sceneOf(() => Stage.set(page));

const live = (tab: Tab) => tab.until(({ status }) => status === "live", "the room is live");
const tell = (...numbers: number[]) =>
  scene.stage.publish(
    "/investigations/hidden",
    numbers.map((n) => ({ type: "news", data: { n } })),
  );

describe("a page that is hidden", { skip }, () => {
  let devtools: CDPSession;
  before(async () => {
    devtools = await scene.browser.newBrowserCDPSession();
  });

  it("takes twice the time to come back that a page which is seen takes", async () => {
    await using hidden = await Tab.open(devtools, scene.stage.page("ana", "slow"));
    await live(hidden);
    await using seen = await Tab.open(devtools, scene.stage.page("bia", "slow"));
    await live(seen);
    await seen.show();
    await hidden.until(({ visibility }) => visibility === "hidden", "it is hidden");
    scene.stage.network.cut();
    const waits = await Promise.all(
      [hidden, seen].map(async (tab) => (await tab.until(({ waits }) => waits.length > 0, "it waits")).waits[0] ?? 0),
    );
    scene.stage.network.mend();
    const [slow = 0, quick = 0] = waits;
    // What is measured is a few milliseconds less than what was drawn.
    assert.ok(slow > 1.5 * quick, `${slow} ms and ${quick} ms`);
  });

  it("looks at its connection once it is seen again, and comes back if that has died in silence", async () => {
    await using tab = await Tab.open(devtools, scene.stage.page("ana", "hidden"));
    await using other = await Tab.open(devtools, "about:blank");
    await live(tab);
    await tell(1);
    await tab.until(({ heard }) => heard.length === 1, "the message is heard");
    await other.show();
    await tab.until(({ visibility }) => visibility === "hidden", "it is hidden");
    scene.stage.network.stall();
    await tell(2, 3);
    const before = await tab.until(() => true, "");
    assert.deepEqual([before.pings, before.status, before.heard], [0, "live", [1]]);
    await tab.show();
    await tab.until(({ visibility }) => visibility === "visible", "it is seen");
    await tab.until(({ pings }) => pings > 0, "it has looked");
    const { heard } = await tab.until(({ heard }) => heard.length >= 3, "it has come back");
    assert.deepEqual(heard, [1, 2, 3]);
  });
});
