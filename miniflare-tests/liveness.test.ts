// No ghost stays: who pinged and fell silent is closed, and nobody is woken for it all the time.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

const PING = '{"type":"ping"}';

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { PING_TIMEOUT_MS: "3000", SWEEP_INTERVAL_MS: "1000" } });
});
after(() => worker[Symbol.asyncDispose]());

const open = (room: string) => Client.open(worker.url(`/api/v1/ws/chat/${room}?token=${worker.token({})}`, "ws"));

async function connections(room: string): Promise<number> {
  const headers = { authorization: `Bearer ${worker.token({ role: "service" })}` };
  const response = await fetch(worker.url(`/api/v1/ws/health?room=chat:${room}`), { headers });
  return ((await response.json()) as { connections: number }).connections;
}

test("a socket whose pings the runtime answered is closed once they stop, though its room slept", async () => {
  using silent = await open("silent");
  silent.send(PING);
  await silent.text();
  await worker.evict("chat:silent");
  const { type, data } = await silent.next();
  assert.deepEqual([type, data.code, data.retry], ["error", "TIMEOUT", true]);
  assert.deepEqual(await silent.closed, { code: 4008, reason: "TIMEOUT" });
  assert.equal(await connections("silent"), 0);
});

test("a socket that goes on pinging stays, and so does one that never pinged", async () => {
  using pinging = await open("alive");
  using listening = await open("alive");
  for (let round = 0; round < 10; round++) {
    pinging.send(PING);
    assert.equal(await pinging.text(), '{"type":"pong","data":{}}');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.equal(await connections("alive"), 2);
  await worker.publish("/chat/alive", { type: "still" });
  const heard = (await listening.drain()).map(({ type }) => type);
  assert.deepEqual([heard[0], heard.at(-1)], ["heartbeat", "still"]);
});
