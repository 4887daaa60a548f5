// What a connection may send, what it is told beforehand, and what others hear while some fail.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client, type Frame } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

const BURST = 200;
/** A ping that the room itself answers, and therefore counts. */
const PING = { type: "ping", data: {} };

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
});
after(() => worker[Symbol.asyncDispose]());

const open = (path: string, sub = "ana") =>
  Client.open(worker.url(`/api/v1/ws${path}?token=${worker.token({ sub })}`, "ws"));

/** Sends so many pings at once, and returns what is answered. */
async function burst(client: Client, count: number): Promise<Frame[]> {
  for (let n = 0; n < count; n++) client.send(PING);
  const answers = [];
  while (answers.length < count) answers.push(await client.next());
  return answers;
}

/** Asserts that the connection is heard at once for as long as its allowance lasts, and returns its first refusal. */
async function exhaust(client: Client): Promise<Frame> {
  const answers = await burst(client, BURST);
  assert.deepEqual(new Set(answers.map(({ type }) => type)), new Set(["pong"]));
  for (;;) {
    const refusal = (await burst(client, 50)).findLast(({ type }) => type === "error");
    if (refusal) return refusal;
  }
}

for (const path of ["", "/chat/rate"]) {
  const [name, room] = path ? [path, "chat:rate"] : ["the general connection", "user:rate"];

  test(`${name}: a burst is fine, then the client is told how long to wait, waits, and is heard again`, async () => {
    using client = await open(path, "rate");
    const { data } = await exhaust(client);
    assert.deepEqual([data.code, data.retry], ["RATE_LIMIT", true]);
    assert.ok(data.retry_after_ms > 0 && data.retry_after_ms <= 50, `one of 20 a second: ${data.retry_after_ms} ms`);
    await pause(data.retry_after_ms + 1);
    assert.equal((await client.ask(PING)).type, "pong");
  });

  test(`${name}: after a sleep the allowance is whole again, and nothing breaks`, async () => {
    using client = await open(path, "rate");
    using another = await open(path, "rate");
    for (let round = 0; round < 2; round++) {
      assert.equal((await exhaust(client)).data.code, "RATE_LIMIT");
      await worker.evict(room);
    }
    assert.equal((await exhaust(client)).data.code, "RATE_LIMIT");
    assert.deepEqual(await another.drain(), []);
  });

  test(`${name}: who goes on and on is closed, and who does not is not`, { timeout: 60_000 }, async () => {
    using client = await open(path, "rate");
    using another = await open(path, "rate");
    for (; client.socket.readyState === client.socket.OPEN; await pause(10)) {
      for (let n = 0; n < 2000; n++) client.send(PING);
    }
    assert.deepEqual(await client.closed, { code: 1008, reason: "RATE_LIMIT" });
    assert.deepEqual(await another.drain(), []);
  });

  test(`${name}: bytes count as well, and who goes on sending too many is closed`, async () => {
    using client = await open(path, "rate");
    const large = `"${"x".repeat((1 << 20) - 2)}"`;
    for (let n = 0; n < 2; n++) assert.equal((await client.ask(large)).data.code, "INVALID_FRAME");
    const { data } = await client.ask(large);
    assert.equal(data.code, "RATE_LIMIT");
    assert.ok(data.retry_after_ms > 1000, `${data.retry_after_ms}`);
    for (let n = 0; n < 100; n++) client.send(large.slice(0, 1 << 18));
    assert.deepEqual(await client.closed, { code: 1008, reason: "RATE_LIMIT" });
  });
}

test("what the runtime answers by itself does not count", async () => {
  using client = await open("/chat/free");
  for (let n = 0; n < 2 * BURST; n++) client.send('{"type":"ping"}');
  for (let n = 0; n < 2 * BURST; n++) assert.equal(await client.text(), '{"type":"pong","data":{}}');
  await exhaust(client);
});

test("binary frames count as text does", async () => {
  using client = await open("/investigations/binary");
  for (let n = 0; n < BURST; n++) client.send(new Uint8Array([n]));
  for (let n = 0; n < BURST; n++) assert.equal((await client.next()).data.code, "BINARY_NOT_SUPPORTED");
  assert.ok((await burst(client, 50)).some(({ data }) => data.code === "RATE_LIMIT"));
});

for (const path of ["", "/investigations/1", "/analysis/1", "/chat/1"]) {
  test(`the welcome of ${path || "the general connection"} says over what time to come back`, async () => {
    using client = await open(path, "welcome");
    assert.ok(Number.isInteger(client.welcome?.data.reconnect_within_ms));
    assert.ok(client.welcome?.data.reconnect_within_ms >= 1000);
  });
}

/** Five sockets in the room, of one user. */
const five = (room: string, sub: string) => Promise.all(Array.from({ length: 5 }, () => open(`/chat/${room}`, sub)));

/** Publishes messages `from` to `to`, each of some size: what is not read piles up. */
async function publish(room: string, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) {
    const { status } = await worker.publish(`/chat/${room}`, { type: "step", data: "x".repeat(16_384) });
    assert.equal(status, 200);
  }
}

/** Asserts that every message arrived, in its order and once. */
async function hasAll(client: Client, count: number): Promise<void> {
  const seqs = [];
  while (seqs.length < count) seqs.push((await client.next()).seq);
  assert.deepEqual(
    seqs,
    Array.from({ length: count }, (_, n) => n + 1),
  );
  assert.deepEqual(await client.drain(), []);
}

/** Begins a close whose answer is never read. */
function closeHalf({ socket }: Client): void {
  socket.close();
  socket.pause();
}

for (const sleeps of [false, true]) {
  const when = sleeps ? ", though the room sleeps between" : "";
  test(`while sockets break, close and stop reading, all others get every message${when}`, async () => {
    const room = sleeps ? "failing-asleep" : "failing";
    const subs = ["well", "broken", "closing", "paused"];
    const [well = [], broken = [], closing = [], paused = []] = await Promise.all(subs.map((sub) => five(room, sub)));
    await publish(room, 1, 10);
    for (const { socket } of paused) socket.pause();
    const more = publish(room, 11, 50);
    for (const { socket } of broken) socket.terminate();
    for (const client of closing) closeHalf(client);
    await more;
    if (sleeps) await worker.evict(`chat:${room}`);
    await publish(room, 51, 60);
    for (const client of well) await hasAll(client, 60);
    for (const { socket } of paused) socket.resume();
    for (const client of paused) await hasAll(client, 60);
    for (const client of [...well, ...paused, ...closing]) client.socket.terminate();
  });

  test(`while the server closes sockets that do not read, all others get every message${when}`, async () => {
    const room = sleeps ? "ended-asleep" : "ended";
    const [well, ended] = [await five(room, "well"), await five(room, `ended-${room}`)];
    for (const { socket } of ended) socket.pause();
    const headers = { authorization: `Bearer ${worker.token({ role: "service" })}` };
    const url = worker.url(`/api/v1/ws/users/ended-${room}/disconnect`);
    const response = await fetch(url, { method: "POST", headers });
    assert.deepEqual(await response.json(), { disconnected: 5 });
    if (sleeps) await worker.evict(`chat:${room}`);
    await publish(room, 1, 50);
    for (const client of well) await hasAll(client, 50);
    for (const client of [...well, ...ended]) client.socket.terminate();
  });
}
