// The README's quick start, as it is written, against the worker.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import * as library from "../../src/index.ts";
import { connect, publish, until } from "./support.ts";

const worker = await TestWorker.start();
after(() => worker[Symbol.asyncDispose]());

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** The first piece of TypeScript under a heading. */
function code(heading: string): string {
  const [, section = ""] = readme.split(`## ${heading}\n`);
  return /```ts\n(.*?)```/s.exec(section)?.[1] ?? assert.fail(`no code under ${heading}`);
}

const AsyncFunction = (async () => {}).constructor as new (
  ...args: string[]
) => (...args: unknown[]) => Promise<unknown>;

test("the chat asks and prints the answer as written, but for types", async () => {
  const [text, lines]: [string[], unknown[][]] = [[], []];
  await using client = connect(worker);
  const run = new AsyncFunction("client", "process", "console", code("Chats"));
  const stdout = { write: (piece: string) => text.push(piece) };
  await run(client, { stdout }, { log: (...words: unknown[]) => lines.push(words) });
  assert.match(text.join(""), /“Quanto foi gasto em 2024\?”/);
  assert.deepEqual(
    lines.map(([status]) => status),
    ["completed"],
  );
});

test("the quick start runs as written, but for the address", async () => {
  const lines: string[] = [];
  const source = code("Quick start")
    .replace(/^import .*$/m, "")
    .replace("https://realtime.example.org", worker.url(""));
  const run = new AsyncFunction("createClient", "fetch", "console", `${source}; return client;`);
  const token = async () => new Response(worker.token({ sub: "ana" }));
  const client = (await run(library.createClient, token, {
    log: (...words: unknown[]) => lines.push(words.join(" ")),
  })) as library.Client;
  await publish(
    worker,
    "/investigations/inv-123",
    { type: "anomaly_detected", data: { severity: "high", description: "Contrato 42" } },
    { type: "investigation_progress", data: { progress: 0.5 } },
  );
  await until("both", () => lines.length >= 4);
  assert.deepEqual(lines, ["connecting", "connected", "high Contrato 42", "investigation_progress 0.5"]);
  await client.close();
});
