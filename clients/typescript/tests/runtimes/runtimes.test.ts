// The client in every runtime that it is said to run in: one scenario, against the real worker.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { program } from "../../scripts/runtimes.mjs";
import { execute, here, PATIENCE_MS, PIECES, type Report, Stage } from "./support.ts";

const stage = await Stage.set();
after(() => stage[Symbol.asyncDispose]());

const { dependencies: pins } = JSON.parse(readFileSync(here("package.json"), "utf8"));
const { devDependencies: tools } = JSON.parse(readFileSync(here("../../../../package.json"), "utf8"));

const file = (bytes: string | Uint8Array) => ({
  size: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex"),
});
const BYTES = file(Buffer.from("Olá"));
const BLOB = file("um recibo");

/** Nothing lost and nothing doubled, over a break that was noticed. */
function assertPlayed(report: Report, runtime: RegExp, files = [BYTES, BLOB]): void {
  assert.match(report.runtime, runtime);
  assert.deepEqual(report.numbers, [1, 2, 3, 4]);
  assert.deepEqual(report.states.slice(0, 3), ["connecting", "connected", "waiting"]);
  const text = PIECES.join("");
  assert.deepEqual(report.answer, { status: "completed", text, pieces: text });
  assert.deepEqual(report.files, files);
}

const version = (name: string, number: string) => new RegExp(`^${name}/${number.replaceAll(".", "\\.")}$`);

test("in the Node of all other tests, with its own WebSocket", async () => {
  const report = await stage.play((options) => execute(process.execPath, here("program.mjs"), options));
  assertPlayed(report, version("Node.js", tools.node.split(".")[0]));
});

test("in Node 20, with ws", async () => {
  const report = await stage.play((options) => execute(program("node"), here("node20.mjs"), options));
  assertPlayed(report, version("Node.js", pins.node));
});

test("in Node 20, without ws: it says what is missing", async () => {
  const done = stage.play((options) => execute(program("node"), here("program.mjs"), options));
  await assert.rejects(done, /NO_WEBSOCKET/);
});

test("in Deno, with the right to use the network and no other", async () => {
  const args = ["run", "--no-prompt", "--no-lock", "--allow-net=127.0.0.1", here("program.mjs")];
  const report = await stage.play((options) => execute(program("deno"), ...args, options));
  assertPlayed(report, version("Deno", pins.deno));
});

test("in Bun", async () => {
  const report = await stage.play((options) => execute(program("bun"), here("program.mjs"), options));
  assertPlayed(report, version("Bun", pins.bun));
});

test("in Cloudflare Workers, bundled", async () => {
  const report = await stage.play(inWorker);
  assertPlayed(report, /^Cloudflare-Workers$/);
});

async function inWorker(play: string): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [here("worker.mjs")],
    bundle: true,
    format: "esm",
    write: false,
  });
  const script = outputFiles[0]?.text ?? "";
  const options = { host: "127.0.0.1", port: 0, modules: true, script, compatibilityDate: "2026-11-01" };
  const worker = new Miniflare(convertV4MiniflareOptions(options));
  try {
    const request = { method: "POST", body: play, signal: AbortSignal.timeout(PATIENCE_MS) };
    const response = await worker.dispatchFetch("http://127.0.0.1/", request);
    assert.equal(response.status, 200, await response.text());
  } finally {
    await worker.dispose();
  }
}

test("in React Native's JavaScript, with its WebSocket, and without what it lacks", async () => {
  const report = await stage.play((options) => execute(process.execPath, here("react-native.mjs"), options));
  assertPlayed(report, /^ReactNative$/, [BYTES]);
});

test("the README names the versions that are tested", () => {
  const readme = readFileSync(here("../../README.md"), "utf8");
  const [, section = ""] = readme.split("## Where it is tested\n");
  for (const [name, version] of [
    ["Node", tools.node],
    ["Node 20", `${pins.node}, with \`ws\` ${tools.ws}`],
    ["Deno", pins.deno],
    ["Bun", pins.bun],
    ["Cloudflare Workers", `workerd ${tools.workerd}`],
    ["React", `${tools.react}, ${pins.react}`],
  ]) {
    assert.ok(section.includes(`| ${name} | ${version} |`), `${name} ${version}`);
  }
});
