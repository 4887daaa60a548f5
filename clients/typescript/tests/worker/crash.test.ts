// The server is killed, and comes back on its storage.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Runtime } from "../../../../miniflare-tests/support/runtime.ts";
import { collect, connect, news, numbers, publish, until } from "./support.ts";

const runtime = await Runtime.start();
after(() => runtime[Symbol.asyncDispose]());

test("it comes back to a server that was killed, and lacks nothing and has nothing twice", async () => {
  await using client = connect(runtime, { maxDelayMs: 1_000 });
  const room = client.investigation("killed");
  const messages = collect(room);
  const resets: unknown[] = [];
  client.on("@reset", (reset) => resets.push(reset));
  await room.ready;
  for (let life = 0; life < 3; life += 1) {
    await publish(runtime, "/investigations/killed", ...news(life * 2));
    await until("the message before", () => messages.length === life * 2 + 1);
    await runtime.kill();
    await until("the break", () => client.state.status !== "connected");
    assert.equal(room.status, "pending");
    await runtime.restart();
    await publish(runtime, "/investigations/killed", ...news(life * 2 + 1));
    await until("the message after", () => messages.length === life * 2 + 2);
  }
  assert.deepEqual(numbers(messages), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(resets, []);
});

test("rooms that were taken while the server was down are heard once it is up", async () => {
  await runtime.kill();
  await using client = connect(runtime, { maxDelayMs: 500 });
  const room = client.investigation("early");
  const messages = collect(room);
  await until("a failure", () => client.state.status === "waiting");
  assert.equal(room.status, "pending");
  await runtime.restart();
  await room.ready;
  await publish(runtime, "/investigations/early", ...news(1));
  await until("it", () => messages.length === 1);
});
