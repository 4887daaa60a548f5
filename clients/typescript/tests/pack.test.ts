// What is published works where it is installed: as JavaScript, and as types.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "cidadao-realtime-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const run = (program: string, args: string[], cwd: string) => execFileSync(program, args, { cwd, encoding: "utf8" });
const npm = (args: string[], cwd: string) => run("npm", ["--offline", "--no-audit", "--no-fund", ...args], cwd);

const PROGRAM = `
import { createClient, RealtimeError } from "@cidadao/realtime";
import { createClient as createCore } from "@cidadao/realtime/core";
import { localStorageCursors } from "@cidadao/realtime/storage/local";
import { indexedDbCursors } from "@cidadao/realtime/storage/indexeddb";

const client = createClient({ url: "http://127.0.0.1:9", getToken: () => null, storage: localStorageCursors() });
const error = await client.ready().catch((error) => error);
if (!(error instanceof RealtimeError) || error.code !== "NO_TOKEN") throw error;
await client.close();
if ("chat" in createCore({ url: "http://127.0.0.1:9", getToken: () => null })) throw new Error("chats in the core");
if (typeof indexedDbCursors().get !== "function") throw new Error("no store");
`;

/** All that a page imports, and hooks rendered as on a server. */
const PAGE = `
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import * as hooks from "@cidadao/realtime/react";
import { createTabsClient } from "@cidadao/realtime/tabs";

function App() {
  const { status } = hooks.useConnection();
  const { messages } = hooks.useChat("s-1");
  hooks.useInvestigation("inv-1");
  hooks.useNotifications();
  return createElement("p", null, status + " " + messages.length);
}

const client = createTabsClient({ url: "http://127.0.0.1:9", getToken: () => null, group: "ana" });
console.log(renderToString(createElement(hooks.RealtimeProvider, { client }, createElement(App))));
const error = await client.ready().catch((error) => error);
if (error.code !== "NO_TOKEN") throw error;
await client.close();
`;

const PAGE_TYPES = `
import { createClient as createCore } from "@cidadao/realtime/core";
import { type ChatEntry, loadHistory, RealtimeProvider, useChat, useRoom } from "@cidadao/realtime/react";
import { indexedDbCursors } from "@cidadao/realtime/storage/indexeddb";
import { localStorageCursors } from "@cidadao/realtime/storage/local";
import { createTabsClient } from "@cidadao/realtime/tabs";

const server = { url: "https://a.example", getToken: async () => "token" };
createCore({ ...server, storage: indexedDbCursors() }).investigation("1");
const client = createTabsClient({ ...server, group: "ana", storage: localStorageCursors() });
RealtimeProvider({ client, children: null });
const entries: readonly ChatEntry[] = useChat("s", { history: () => loadHistory(server, "chat", "s") }).messages;
const status: "pending" | "live" | "refused" | "closed" = useRoom("analysis", null, { limit: 1 }).status;
// @ts-expect-error: tabs need a group
createTabsClient(server);
// @ts-expect-error: there is no such kind of room
useRoom("chat", "s");
[entries.length, status];
`;

const TYPES = `
import { type Answer, createClient, type Message } from "@cidadao/realtime";

declare module "@cidadao/realtime" {
  interface MessageData {
    contract_flagged: { contract_id: string };
  }
}

const client = createClient({ url: "https://a.example", getToken: async () => "token" });
const end: () => void = client.on("anomaly_detected", ({ data, seq }) => [data.severity.length, seq?.toFixed()]);
client.on("investigation_*", ({ data }) => data.progress?.toFixed());
client.on("contract_flagged", ({ data }) => data.contract_id.length);
client.on("@state", (state) => state.status === "stopped" && state.reason.code);
client.on("*", (message: Message) => message.room);
client.investigation("1").on("@status", (status) => status === "refused");
const answer: Answer = client.chat("s").send("?", { signal: AbortSignal.timeout(1) });
for await (const piece of answer) piece.length;
// @ts-expect-error: there is no such kind of room
client.room("chat", "1");
// @ts-expect-error: a token is needed
createClient({ url: "https://a.example" });
// @ts-expect-error: unknown data has to be looked at first
client.on("something_else", ({ data }) => data.field);
end();
`;

/** A compiler and npm take their time where others work too. */
const timeout = 300_000;

test("the package installs without a network, runs, and has types", { timeout }, () => {
  // As it is built: a build here would take dist/ away from the tests beside this one.
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const [{ filename, files }] = JSON.parse(npm(pack, PACKAGE));
  const names = files.map(({ path }: { path: string }) => path);
  assert.ok(names.includes("dist/index.js") && names.includes("dist/index.d.ts") && names.includes("README.md"));
  assert.deepEqual(
    names.filter((name: string) => name.startsWith("src/") || name.startsWith("tests/")),
    [],
  );
  writeFileSync(join(folder, "package.json"), '{"type":"module","private":true}');
  npm(["install", join(folder, filename)], folder);
  assert.deepEqual(
    readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith(".")),
    ["@cidadao"],
  );
  writeFileSync(join(folder, "program.js"), PROGRAM);
  run(process.execPath, ["program.js"], folder);
  checkTypes();
});

test("its hooks find the React that is beside it, and render", { timeout }, () => {
  for (const name of ["react", "react-dom", "scheduler"]) link(name, join(folder, "node_modules", name));
  writeFileSync(join(folder, "page.js"), PAGE);
  assert.equal(run(process.execPath, ["page.js"], folder), "<p>idle 0</p>\n");
});

test("all of its entries have types, and no others are needed but React's", { timeout }, () => {
  mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
  for (const name of ["@types/react", "csstype"]) link(name, join(folder, "node_modules", name));
  compile("page.ts", PAGE_TYPES);
});

// Types of the platform only: the main entries may need no others.
const checkTypes = () => compile("types.ts", TYPES);

function compile(name: string, source: string): void {
  writeFileSync(join(folder, name), source);
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
  const options = ["--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"];
  run(process.execPath, [tsc, "--noEmit", "--types", "", ...options, name], folder);
}

/** A package of the repository's own, where the program finds it. */
function link(name: string, path: string): void {
  symlinkSync(dirname(createRequire(require.resolve("react-dom")).resolve(`${name}/package.json`)), path);
}
