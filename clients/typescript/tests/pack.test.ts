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

test("the package installs without a network, runs, and has types", () => {
  const [{ filename, files }] = JSON.parse(npm(["pack", "--json", "--pack-destination", folder], PACKAGE));
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

function checkTypes(): void {
  // Types of the platform only: the package may need no others.
  mkdirSync(join(folder, "tools"), { recursive: true });
  const compiler = dirname(require.resolve("typescript/package.json"));
  symlinkSync(compiler, join(folder, "tools", "typescript"));
  writeFileSync(join(folder, "types.ts"), TYPES);
  const options = ["--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"];
  run(process.execPath, [join(compiler, "bin/tsc"), "--noEmit", "--types", "", ...options, "types.ts"], folder);
}
