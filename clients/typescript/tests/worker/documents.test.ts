// Examples of the documents, as they are written, against the worker.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import { type Client, createClient } from "../../src/index.ts";
import { connect, guest, publish, until } from "./support.ts";

const worker = await TestWorker.start();
after(() => worker[Symbol.asyncDispose]());

type Program = (...args: unknown[]) => Promise<unknown>;
const AsyncFunction = (async () => {}).constructor as new (...args: string[]) => Program;

/** The example that has this in it, with these given by name; `result` is what it has made. */
function run(document: string, sign: string, given: Record<string, unknown>, result = "undefined"): Promise<unknown> {
  const text = readFileSync(new URL(`../../${document}`, import.meta.url), "utf8");
  const examples = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code ?? "");
  const code = examples.find((each) => each.includes(sign)) ?? assert.fail(`${document} has no "${sign}"`);
  return new AsyncFunction(...Object.keys(given), `${code}; return ${result};`)(...Object.values(given));
}

/** Publishes until the room is left, as somebody who does not know when others listen. */
async function keepPublishing(client: Client, id: string, message: object, isDone: () => boolean): Promise<void> {
  await client.ready();
  while (!isDone()) await publish(worker, `/investigations/${id}`, message);
}

test("README: the loop over a room prints what comes, and ends with the report", async () => {
  await using client = connect(worker);
  const lines: unknown[][] = [];
  let isDone = false;
  const loop = run("README.md", "for await (const message of", {
    client,
    console: { log: (...l: unknown[]) => lines.push(l) },
  });
  loop.finally(() => {
    isDone = true;
  });
  await keepPublishing(client, "inv-123", { type: "report_ready", data: { pages: 3 } }, () => isDone);
  await loop;
  assert.equal(lines.length, 1);
  assert.deepEqual(lines[0]?.slice(1), ["report_ready", { pages: 3 }]);
});

test("README: a page that has loaded its state misses nothing that came since", async () => {
  await using client = connect(worker);
  const say = (n: number) => publish(worker, "/investigations/inv-123", { type: "news", data: { n } });
  const log = async () => {
    const headers = { authorization: `Bearer ${worker.token({ sub: "ana" })}` };
    return fetch(worker.url("/api/v1/ws/investigations/inv-123/messages?limit=1"), { headers });
  };
  await say(1);
  const state = await log();
  await say(2);
  const messages = (await run(
    "README.md",
    'await fetch("/api/state")',
    { client, fetch: () => state },
    "messages",
  )) as {
    data: { n: number };
  }[];
  await until("what came since", () => messages.length >= 2);
  assert.deepEqual(
    messages.map(({ data }) => data.n),
    [1, 2],
  );
});

test("MIGRATION: the general connection, as it is afterwards", async () => {
  const [updates, alerts]: [object[], object[]] = [[], []];
  const given = {
    createClient: (options: Parameters<typeof createClient>[0]) => createClient({ ...options, url: worker.url("") }),
    getToken: () => worker.token({ sub: "ana" }),
    updateInvestigationUI: (data: object) => updates.push(data),
    showAnomalyAlert: (data: object) => alerts.push(data),
    reloadInvestigation: () => assert.fail("nothing is lost"),
  };
  const code = "updateInvestigationUI(data)";
  const { client, room } = (await run("MIGRATION.md", code, given, "({ client, room })")) as {
    client: Client;
    room: { ready: Promise<void> };
  };
  await room.ready;
  const anomaly = { type: "anomaly_detected", data: { severity: "high" } };
  await publish(
    worker,
    "/investigations/inv-123",
    { type: "investigation_progress", data: { progress: 0.5 } },
    anomaly,
  );
  await until("both", () => updates.length + alerts.length === 2);
  assert.deepEqual([updates, alerts], [[{ progress: 0.5 }], [{ severity: "high" }]]);
  await client.close();
});

test("MIGRATION: the chat, as it is afterwards", async () => {
  await using client = connect(worker, guest(worker, "ana"));
  const pieces: string[] = [];
  const ends: string[] = [];
  await run("MIGRATION.md", "chat.send(text, { context })", {
    client,
    sessionId: "migrated",
    text: "Quem?",
    context: { page: 1 },
    append: (piece: string) => pieces.push(piece),
    finish: ({ text }: { text: string }) => ends.push(text),
    showError: (message: string) => assert.fail(message),
  });
  assert.deepEqual([pieces.join("")], ends);
});
