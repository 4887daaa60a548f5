// Who is present and who is typing, told to real clients, also when the room sleeps meanwhile.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, type Frame } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
});
after(() => worker[Symbol.asyncDispose]());

const open = (path: string, sub: string, query = "presence=true") =>
  Client.open(worker.url(`/api/v1/ws${path}?token=${worker.token({ sub })}&${query}`, "ws"));

/** What comes until there are so many frames, however long it takes; a test that hangs is given up. */
async function wait(client: Client, count: number): Promise<Frame[]> {
  const frames: Frame[] = [];
  for (let round = 0; round < 30 && frames.length < count; round++) {
    await sleep(500);
    frames.push(...(await client.drain()));
  }
  assert.equal(frames.length, count, JSON.stringify(frames));
  return frames;
}

test("who comes, shows something, comes back and leaves is told of in a chat", async () => {
  using ana = await open("/chat/1", "ana");
  assert.deepEqual(ana.welcome?.data.presence, { count: 1, users: [{ user_id: "ana" }] });
  using bia = await open("/chat/1", "bia");
  assert.deepEqual(bia.welcome?.data.presence, { count: 2, users: [{ user_id: "ana" }, { user_id: "bia" }] });
  const joined = (await ana.next()).data;
  assert.deepEqual(joined, { room: "chat:1", count: 2, joined: [{ user_id: "bia" }] });

  bia.send({ type: "presence", data: { state: { status: "ação" } } });
  const updated = { room: "chat:1", count: 2, updated: [{ user_id: "bia", state: { status: "ação" } }] };
  for (const client of [ana, bia]) assert.deepEqual((await client.next()).data, updated);
  const wrong = await bia.ask({ type: "presence", data: { state: "away" } });
  assert.deepEqual([wrong.data.code, wrong.data.original_type], ["INVALID_FRAME", "presence"]);

  await worker.evict("chat:1");
  await bia.close();
  using again = await open("/chat/1", "bia", "");
  assert.equal(again.welcome?.data.presence, undefined);
  again.send({ type: "presence", data: { state: { status: "ação" } } });
  await again.drain();
  using caio = await open("/chat/1", "caio", "presence=1");
  assert.deepEqual(caio.welcome?.data.presence.users[1], { user_id: "bia", state: { status: "ação" } });
  // Where all this took more than a second, the state went and came back.
  let { data } = await ana.next();
  while (data.updated !== undefined) data = (await ana.next()).data;
  assert.deepEqual(data, { room: "chat:1", count: 3, joined: [{ user_id: "caio" }] });
});

test("who left before the room fell asleep is told of", async () => {
  using ana = await open("/chat/2", "ana");
  using bia = await open("/chat/2", "bia", "");
  assert.deepEqual((await ana.next()).data.joined, [{ user_id: "bia" }]);
  await bia.close();
  await worker.evict("chat:2");
  const [left] = await wait(ana, 1);
  assert.deepEqual(left?.data, { room: "chat:2", count: 1, left: ["bia"] });
});

test("an investigation counts", async () => {
  using ana = await open("/investigations/3", "ana");
  assert.deepEqual(ana.welcome?.data.presence, { count: 1 });
  using bia = await open("/investigations/3", "bia", "");
  assert.deepEqual((await ana.next()).data, { room: "investigation:3", count: 2 });
  assert.equal((await bia.ask({ type: "typing" })).data.code, "UNKNOWN_TYPE");
});

test("the others hear who is typing, and that it ends, though the room sleeps", async () => {
  using ana = await open("/chat/4", "ana", "");
  using bia = await open("/chat/4", "bia", "");
  bia.send({ type: "typing", data: { isTyping: true } });
  const { type, data, room, seq } = await ana.next();
  const begins = { user_id: "bia", isTyping: true, expires_in_ms: 6000 };
  assert.deepEqual({ type, data, room, seq }, { type: "typing", data: begins, room: "chat:4", seq: undefined });
  await worker.evict("chat:4");
  const [ends] = await wait(ana, 1);
  assert.deepEqual(ends?.data, { user_id: "bia", isTyping: false });

  bia.send({ type: "typing" });
  assert.equal((await ana.next()).data.isTyping, true);
  await bia.close();
  assert.deepEqual((await ana.next()).data, { user_id: "bia", isTyping: false });
});
