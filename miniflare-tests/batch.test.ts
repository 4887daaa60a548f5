// A room of many sends together what arrives while it sends.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, type Frame } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

/** A window is open for 20 µs a socket: with this many, for 6 ms. */
const CROWD = 300;

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
});
after(() => worker[Symbol.asyncDispose]());

const open = (room: string, protocols: string[] = [], sub = "ana") =>
  Client.open(worker.url(`/api/v1/ws/chat/${room}?token=${worker.token({ sub })}`, "ws"), protocols);

async function crowd(room: string): Promise<Client[]> {
  return Promise.all(Array.from({ length: CROWD }, (_, n) => open(room, [], `user-${n}`)));
}

/** The messages of a frame, whether it is one or holds several. */
const unpack = (frame: Frame & { messages?: Frame[] }): Frame[] => frame.messages ?? [frame];

const steps = (count: number) => Array.from({ length: count }, (_, n) => ({ type: "step", data: n }));

test("an array goes as one batch frame to who negotiated it, and one by one to who did not", async () => {
  using modern = await open("array", ["cidadao.v1"]);
  using plain = await open("array");
  await worker.publish("/chat/array", steps(20));
  const frame = (await modern.next()) as Frame & { messages: Frame[]; count: number };
  assert.deepEqual([frame.type, frame.count], ["batch", 20]);
  assert.deepEqual(await plain.drain(), frame.messages);
});

test("one message is never wrapped", async () => {
  using modern = await open("single", ["cidadao.v1"]);
  await worker.publish("/chat/single", { type: "step" });
  assert.equal((await modern.next()).type, "step");
});

test("what is urgent goes first in its frame, the rest in its order", async () => {
  using modern = await open("urgent", ["cidadao.v1"]);
  await worker.publish("/chat/urgent", [
    { type: "step", data: 1 },
    { type: "anomaly_detected", data: { severity: "high" } },
    { type: "step", data: 2 },
  ]);
  const seqs = unpack(await modern.next()).map(({ seq }) => seq);
  assert.deepEqual(seqs, [2, 1, 3]);
});

test("messages that pour into a crowded room arrive whole and in order, in fewer frames", async () => {
  const sockets = await crowd("pour");
  using modern = await open("pour", ["cidadao.v1"]);
  await Promise.all(steps(200).map((step) => worker.publish("/chat/pour", step)));
  const received: Frame[] = [];
  let frames = 0;
  for (; received.length < 200; frames++) received.push(...unpack(await modern.next()));
  assert.deepEqual(
    received.map(({ seq }) => seq),
    Array.from({ length: 200 }, (_, n) => n + 1),
  );
  assert.ok(frames < 200, `${frames} frames`);
  for (const socket of sockets) {
    assert.equal((await socket.drain()).length, 200);
    socket.socket.terminate();
  }
});

/** As a backend should: again, under the same id, until it is taken. */
async function publishUntilTaken(room: string, message: { type: string; id: string }): Promise<void> {
  while ((await worker.publish(`/chat/${room}`, message).catch(() => undefined))?.status !== 200);
}

test("a room that loses its memory while messages pour in loses none of them and doubles none", async () => {
  const sockets = await crowd("evicted");
  using modern = await open("evicted", ["cidadao.v1"]);
  for (let round = 0; round < 5; round++) {
    const ids = Array.from({ length: 30 }, (_, n) => `${round}-${n}`);
    const published = ids.map((id) => publishUntilTaken("evicted", { type: "step", id }));
    await Promise.any(published);
    await worker.evict("chat:evicted");
    await Promise.all(published);
  }
  const received: Frame[] = [];
  while (received.length < 150) received.push(...unpack(await modern.next()));
  assert.deepEqual(
    received.map(({ seq }) => seq),
    Array.from({ length: 150 }, (_, n) => n + 1),
  );
  assert.deepEqual(await modern.drain(), [], "nothing comes twice");
  for (const socket of sockets) {
    assert.equal((await socket.drain()).length, 150);
    socket.socket.terminate();
  }
});
