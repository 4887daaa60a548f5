// What a client missed comes from the log when it says where it was, before anything new.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, type Frame, unpack } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

const MOST_UNACKED = 10;

let worker: TestWorker;
let small: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
  small = await TestWorker.start({ settings: { LOG_MAX_MESSAGES: "100", MAX_UNACKED: `${MOST_UNACKED}` } });
});
after(async () => {
  await worker[Symbol.asyncDispose]();
  await small[Symbol.asyncDispose]();
});

interface Cursor {
  epoch: string;
  seq: number;
}

const url = (path: string, query = "", sub = "ana", of = worker) =>
  of.url(`/api/v1/ws${path}?token=${of.token({ sub })}&${query}`, "ws");

/** Opens a socket, of somebody who was never here unless a user is named. */
const open = (path: string, query = "", protocols: string[] = [], of = worker, sub = `user-${++users}`) =>
  Client.open(url(path, query, sub, of), protocols);

let users = 0;

const resume = ({ epoch, seq }: Cursor) => `epoch=${epoch}&since=${seq}`;

const steps = (count: number, bytes = 0) =>
  Array.from({ length: count }, (_, n) => ({ type: "step", data: { n, text: "x".repeat(bytes) } }));

const numbers = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

const seqs = (messages: Frame[]) => messages.map(({ seq }) => seq);

const start = ({ data: { seq, recovered } }: Frame) => [seq, recovered];

/** Publishes so many messages, as many as one POST may hold at once, and says which epoch they are of. */
async function fill(path: string, count: number, of = worker): Promise<string> {
  for (let left = count; left > 0; left -= 1_000) {
    const { status } = await of.publish(path, steps(Math.min(left, 1_000)));
    assert.equal(status, 200);
  }
  using reader = await open(path.replace("/users/ana", ""), "", [], of, "ana");
  return reader.welcome?.data.epoch;
}

const subscribe = (id: string, cursor: Partial<Cursor> = {}) => ({
  type: "subscribe",
  data: { investigation_id: id, ...(cursor.epoch && { epoch: cursor.epoch, since: cursor.seq }) },
});

for (const path of ["/investigations/1", "/analysis/1", "/chat/1", "/users/ana"]) {
  test(`a socket of ${path} that says where it was gets what it missed, then what is new`, async () => {
    const epoch = await fill(path, 250);
    for (const protocols of [[], ["cidadao.v1"]]) {
      using client = await open(path.replace("/users/ana", ""), resume({ epoch, seq: 7 }), protocols, worker, "ana");
      assert.deepEqual(start(client.welcome as Frame), [7, true]);
      assert.equal(client.welcome?.data.epoch, epoch);
      const { body } = await worker.publish(path, { type: "new" });
      const last = body.messages[0].seq;
      assert.deepEqual(seqs(await client.messages(last - 7)), numbers(8, last));
      assert.deepEqual(await client.drain(), []);
    }
  });
}

test("what was missed comes in frames of 100 messages and 64 KiB at most to who takes them together", async () => {
  for (const bytes of [0, 900, 5_000]) {
    const path = `/chat/frames-${bytes}`;
    await worker.publish(path, steps(150, bytes));
    const epoch = await fill(path, 0);
    using client = await open(path, resume({ epoch, seq: 0 }), ["cidadao.v1"]);
    const received: Frame[] = [];
    while (received.length < 150) {
      const text = await client.text();
      const messages = unpack(JSON.parse(text));
      assert.ok(messages.length <= 100, `${messages.length} messages`);
      assert.ok(text.length <= 64 * 1024, `${text.length} bytes`);
      received.push(...messages);
    }
    assert.deepEqual(seqs(received), numbers(1, 150));
  }
});

test("a subscription that says where it was gets what was missed, then what is new; so does one that is repeated", async () => {
  const epoch = await fill("/investigations/sub", 250);
  for (const [path, protocols] of [
    ["", []],
    ["", ["cidadao.v1"]],
    ["/chat/sub", ["cidadao.v1"]],
    ["/investigations/sub", []],
  ] as const) {
    using client = await open(path, "", [...protocols]);
    for (const seq of [7, 200]) {
      const subscribed = await client.ask(subscribe("sub", { epoch, seq }));
      assert.deepEqual([subscribed.type, start(subscribed)], ["subscribed", [seq, true]]);
      assert.equal(subscribed.data.epoch, epoch);
      const { body } = await worker.publish("/investigations/sub", { type: "new" });
      const last = body.messages[0].seq;
      assert.deepEqual(seqs(await client.messages(last - seq)), numbers(seq + 1, last), path);
    }
    assert.deepEqual(await client.drain(), []);
  }
});

test("who says nothing begins now, and is told where that is", async () => {
  const epoch = await fill("/investigations/now", 3);
  using client = await open("/investigations/now");
  assert.deepEqual([start(client.welcome as Frame), client.welcome?.data.epoch], [[3, undefined], epoch]);
  using general = await open("");
  const subscribed = await general.ask(subscribe("now"));
  assert.deepEqual([start(subscribed), subscribed.data.epoch], [[3, undefined], epoch]);
});

for (const [which, path, cursor] of [
  ["is too old", "/investigations/old", { seq: 3 }],
  ["is of another epoch", "/investigations/other", { seq: 500, epoch: "00000000000000ff" }],
  ["is from the future", "/investigations/future", { seq: 9_000 }],
] as const) {
  test(`a cursor that ${which} begins now, and it is said that something is missing`, async () => {
    for (let n = 0; n < 10; n++) await small.publish(path, steps(50));
    const query = { epoch: await fill(path, 0, small), ...cursor };
    using direct = await open(path, resume(query), [], small);
    assert.deepEqual(start(direct.welcome as Frame), [500, false]);
    using general = await open("", "", [], small);
    const subscribed = await general.ask(subscribe(path.split("/")[2] as string, query));
    assert.deepEqual(start(subscribed), [500, false]);
    await small.publish(path, { type: "new" });
    for (const client of [direct, general]) assert.equal((await client.next()).seq, 501);
  });
}

test("a cursor that is none is refused on the socket, with its code", async () => {
  for (const [query, code] of [
    ["epoch=00000000000000ff", "INVALID_CURSOR"],
    ["since=7", "INVALID_CURSOR"],
    ["epoch=x&since=7", "INVALID_CURSOR"],
    ["epoch=00000000000000ff&since=-1", "INVALID_CURSOR"],
    ["epoch=00000000000000ff&since=9007199254740992", "INVALID_CURSOR"],
    ["epoch=00000000000000ff&since=seven", "INVALID_CURSOR"],
    ["device=a%20b", "INVALID_ID"],
  ] as const) {
    for (const path of ["", "/chat/1", "/investigations/1", "/analysis/1"]) {
      using client = new Client(url(path, query));
      const { type, data } = await client.next();
      assert.deepEqual([type, data.code, data.retry], ["error", code, false], `${path}?${query}`);
      assert.deepEqual(await client.closed, { code: 1008, reason: code });
    }
  }
});

test("half a cursor in a frame is refused, and the socket goes on", async () => {
  using client = await open("");
  for (const half of [{ epoch: "00000000000000ff" }, { since: 7 }, { epoch: "x", since: 7 }]) {
    const refused = await client.ask({ type: "subscribe", data: { investigation_id: "half", ...half } });
    assert.deepEqual([refused.type, refused.data.code], ["error", "INVALID_FRAME"]);
  }
  assert.equal((await client.ask(subscribe("half"))).type, "subscribed");
});

test("a room that falls asleep in the middle of a long replay goes on with it", async () => {
  const epoch = await fill("/investigations/long", 4_000);
  for (const [asleep, path] of [
    [["investigation:long"], "/investigations/long"],
    [["user:sleeper-1"], ""],
    [["investigation:long", "user:sleeper-2"], ""],
  ] as const) {
    const sub = asleep.at(-1)?.replace("user:", "");
    using client = await open(path, path && resume({ epoch, seq: 0 }), ["cidadao.v1"], worker, sub);
    if (path === "") assert.equal((await client.ask(subscribe("long", { epoch, seq: 0 }))).type, "subscribed");
    const received: Frame[] = [];
    for (const [n, _] of numbers(1, 5).entries()) {
      received.push(...(await client.messages(300)));
      for (const room of asleep)
        await worker.evict(room).catch((error) => assert.match(error.message, /not .*running/));
      if (n === 2) await worker.publish("/investigations/long", { type: "new" });
    }
    const { body } = await worker.publish("/investigations/long", { type: "new" });
    const last = body.messages[0].seq;
    received.push(...(await client.messages(last - received.length)));
    assert.deepEqual(seqs(received), numbers(1, last), `asleep: ${asleep}`);
    assert.deepEqual(await client.drain(), []);
  }
});

test("who confirms is sent no more than it may leave unconfirmed, and goes on as it confirms", async () => {
  using slow = await open("/investigations/slow", "acks=true", [], small);
  using fast = await open("/investigations/slow", "", [], small);
  using general = await open("", "acks=1", [], small);
  await general.ask(subscribe("slow"));
  for (let n = 0; n < 60; n++) await small.publish("/investigations/slow", { type: "step" });
  assert.deepEqual(seqs(await fast.messages(60)), numbers(1, 60));
  for (const client of [slow, general]) {
    const received = await client.drain();
    assert.equal(received.length, MOST_UNACKED + 1);
    client.send({ type: "ack", data: { seq: 11, room: "investigation:slow" } });
    received.push(...(await client.messages(49)));
    assert.deepEqual(seqs(received), numbers(1, 60));
  }
  slow.send({ type: "ack", data: { seq: 60 } });
  assert.deepEqual(await slow.drain(), [], "nothing is answered");
  slow.send({ type: "ack", data: { seq: 7 } });
  slow.send({ type: "ack", data: { seq: 1, room: "chat:elsewhere" } });
  await small.publish("/investigations/slow", { type: "last" });
  assert.equal((await slow.next()).seq, 61);
  assert.equal((await slow.ask({ type: "ack", data: {} })).data.code, "INVALID_FRAME");
});

test("what is ephemeral reaches the sockets that are open, here and elsewhere, and is not in the log", async () => {
  using direct = await open("/investigations/typing");
  using general = await open("");
  await general.ask(subscribe("typing"));
  const typing = { type: "typing", data: { who: "bea" }, ephemeral: true, id: "t-1" };
  const { status, body } = await worker.publish("/investigations/typing", typing);
  assert.deepEqual([status, body], [200, { messages: [{ id: "t-1" }] }]);
  for (const client of [direct, general]) {
    const { type, seq, data, id } = await client.next();
    assert.deepEqual([type, seq, data, id], ["typing", undefined, typing.data, "t-1"]);
  }
  await worker.publish("/investigations/typing", { type: "said" });
  assert.equal((await general.next()).seq, 1);
  using late = await open("/investigations/typing", resume({ epoch: direct.welcome?.data.epoch, seq: 0 }));
  assert.deepEqual(
    (await late.messages(1)).map(({ type }) => type),
    ["said"],
  );
  assert.deepEqual(await late.drain(), []);
});

test("a worker that was ended and started again goes on where it was", async () => {
  await using again = await TestWorker.start();
  const epoch = await fill("/investigations/restart", 20, again);
  await again.publish("/investigations/restart", { type: "named", id: "m-1" });
  using _lost = await open("/investigations/restart", "", [], again);
  await again.restart();
  const { body } = await again.publish("/investigations/restart", [{ type: "named", id: "m-1" }, { type: "new" }]);
  assert.deepEqual(body.messages[0], { id: "m-1", seq: 21, duplicate: true });
  assert.equal(body.messages[1].seq, 22);
  using client = await open("/investigations/restart", resume({ epoch, seq: 15 }), [], again);
  assert.deepEqual(start(client.welcome as Frame), [15, true]);
  assert.deepEqual(seqs(await client.messages(7)), numbers(16, 22));
  using general = await open("", "", [], again);
  assert.deepEqual(start(await general.ask(subscribe("restart", { epoch, seq: 20 }))), [20, true]);
  assert.deepEqual(seqs(await general.messages(2)), [21, 22]);
});

test("a message that is published again after its room slept is answered with its first place", async () => {
  const ids = numbers(1, 600).map((n) => ({ type: "step", id: `m-${n}` }));
  await worker.publish("/chat/again", ids);
  await worker.evict("chat:again");
  const { body } = await worker.publish("/chat/again", [ids[0], ids[599], { type: "new" }]);
  assert.deepEqual(body.messages.slice(0, 2), [
    { id: "m-1", seq: 1, duplicate: true },
    { id: "m-600", seq: 600, duplicate: true },
  ]);
  assert.equal(body.messages[2].seq, 601);
});
