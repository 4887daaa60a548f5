// Who comes back without saying where it was gets what was published meanwhile.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client, type Frame } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

const open = (path: string, sub: string, query = "", of = worker) =>
  Client.open(of.url(`/api/v1/ws${path}?token=${of.token({ sub })}&${query}`, "ws"));

const subscribe = (id: string) => ({ type: "subscribe", data: { investigation_id: id } });

const unsubscribe = (id: string) => ({ type: "unsubscribe", data: { investigation_id: id } });

const seqs = (messages: Frame[]) => messages.map(({ seq }) => seq);

const start = ({ data: { seq, recovered } }: Frame) => [seq, recovered];

async function publish(path: string, count: number, of = worker): Promise<void> {
  const { status } = await of.publish(path, Array(count).fill({ type: "news" }));
  assert.equal(status, 200);
}

async function service<T>(path: string): Promise<T> {
  const headers = { authorization: `Bearer ${worker.token({ role: "service" })}` };
  return (await fetch(worker.url(`/api/v1/ws${path}`), { headers })).json() as Promise<T>;
}

/** Breaks a connection off, and waits until its room has noticed. */
async function breakOff(client: Client, room: string): Promise<void> {
  client.socket.terminate();
  const open = async () => (await service<{ connections: number }>(`/health?room=${room}`)).connections;
  for (const signal = AbortSignal.timeout(10_000); (await open()) > 0; ) await pause(20, undefined, { signal });
}

/** Puts a room to sleep, unless it sleeps already. */
const evict = (room: string) => worker.evict(room).catch((error) => assert.match(error.message, /not .*running/));

for (const [path, room, of] of [
  ["/investigations/1", "investigation:1", "/investigations/1"],
  ["/analysis/1", "analysis:1", "/analysis/1"],
  ["/chat/1", "chat:1", "/chat/1"],
  ["", "user:inbox", "/users/inbox"],
] as const) {
  test(`who comes back to ${room} gets what was published meanwhile, then what is new`, async () => {
    const first = await open(path, "inbox");
    assert.deepEqual(start(first.welcome as Frame), [0, undefined], "a new user begins now");
    await publish(of, 2);
    assert.deepEqual(seqs(await first.messages(2)), [1, 2]);
    await first.close();
    await publish(of, 3);
    await evict(room);
    using back = await open(path, "inbox");
    assert.deepEqual(start(back.welcome as Frame), [2, true]);
    await publish(of, 1);
    assert.deepEqual(seqs(await back.messages(4)), [3, 4, 5, 6]);
    assert.deepEqual(await back.drain(), []);
  });
}

for (const [path, room] of [
  ["", "user:sub"],
  ["/chat/sub", "chat:sub"],
] as const) {
  test(`who subscribes again from ${room} gets what was published meanwhile, then what is new`, async () => {
    const id = room.replace(":", "-");
    const first = await open(path, "sub");
    await first.ask(subscribe(id));
    await publish(`/investigations/${id}`, 2);
    assert.deepEqual(seqs(await first.messages(2)), [1, 2]);
    await first.close();
    await publish(`/investigations/${id}`, 3);
    for (const sleeper of [room, `investigation:${id}`]) await evict(sleeper);
    using back = await open(path, "sub");
    assert.deepEqual(start(await back.ask(subscribe(id))), [2, true]);
    await publish(`/investigations/${id}`, 1);
    assert.deepEqual(seqs(await back.messages(4)), [3, 4, 5, 6]);
    assert.deepEqual(await back.drain(), []);
  });
}

test("who unsubscribed is owed nothing", async () => {
  const first = await open("", "leaver");
  await first.ask(subscribe("left"));
  assert.equal((await first.ask(unsubscribe("left"))).type, "unsubscribed");
  await first.close();
  await publish("/investigations/left", 3);
  using back = await open("", "leaver");
  assert.deepEqual(start(await back.ask(subscribe("left"))), [3, undefined]);
  assert.deepEqual(await back.drain(), []);
});

test("what was for everybody reaches who was away", async () => {
  const first = await open("", "traveller");
  // The first connection of a user has to be made known before it hears the system.
  for (let heard = false; !heard; ) {
    await publish("/system", 1);
    heard = (await first.drain()).some(({ room }) => room === "system:all");
  }
  await first.close();
  const { body } = await worker.publish("/system", [
    { type: "missed", data: 1 },
    { type: "missed", data: 2 },
  ]);
  for (const room of ["user:traveller", "system:all"]) await evict(room);
  using back = await open("", "traveller");
  const missed = await back.messages(2);
  assert.deepEqual(
    missed.map(({ type, seq }) => [type, seq]),
    body.messages.map(({ seq }: Frame) => ["missed", seq]),
  );
  await publish("/system", 1);
  assert.equal((await back.next()).room, "system:all");
  assert.deepEqual(await back.drain(), []);
});

test("each device is owed everything once, and a new one begins now", async () => {
  const path = "/chat/devices";
  const device = (name: string) => open(path, "dora", `device=${name}`);
  const [phone, laptop] = [await device("phone"), await device("laptop")];
  await phone.close();
  await publish(path, 1);
  assert.equal((await laptop.next()).seq, 1);
  await laptop.close();
  await publish(path, 1);
  using tablet = await device("tablet");
  using phoneAgain = await device("phone");
  using laptopAgain = await device("laptop");
  assert.deepEqual(start(tablet.welcome as Frame), [2, undefined]);
  assert.deepEqual(seqs(await phoneAgain.messages(2)), [1, 2]);
  assert.deepEqual(seqs(await laptopAgain.messages(1)), [2]);
  for (const client of [tablet, phoneAgain, laptopAgain]) assert.deepEqual(await client.drain(), []);
});

test("a second tab misses nothing, and takes nothing from the first", async () => {
  using first = await open("/chat/tabs", "eva");
  await publish("/chat/tabs", 2);
  await first.messages(2);
  using second = await open("/chat/tabs", "eva");
  const [seq] = start(second.welcome as Frame);
  await publish("/chat/tabs", 1);
  assert.deepEqual(seqs(await first.messages(1)), [3]);
  assert.deepEqual(seqs(await second.messages(3 - seq)), [1, 2, 3].slice(seq));
});

test("what came after the last ping of a connection that broke comes again", async () => {
  const broken = await open("/chat/broken", "fabio");
  broken.send('{"type":"ping"}');
  assert.equal(await broken.text(), '{"type":"pong","data":{}}');
  await publish("/chat/broken", 2);
  assert.deepEqual(seqs(await broken.messages(2)), [1, 2]);
  await breakOff(broken, "chat:broken");
  using back = await open("/chat/broken", "fabio");
  assert.deepEqual(start(back.welcome as Frame), [0, true]);
  assert.deepEqual(seqs(await back.messages(2)), [1, 2]);
});

test("of a connection that breaks without having ever pinged, nothing is missed after it", async () => {
  const broken = await open("/chat/silent", "gil");
  await publish("/chat/silent", 2);
  await broken.messages(2);
  await breakOff(broken, "chat:silent");
  await publish("/chat/silent", 1);
  using back = await open("/chat/silent", "gil");
  const [seq, recovered] = start(back.welcome as Frame);
  assert.deepEqual([seqs(await back.messages(3 - seq)), recovered], [[1, 2, 3].slice(seq), true]);
});

test("of one who confirms, what it confirmed counts, also in what it subscribed to", async () => {
  const first = await open("/chat/acks", "hugo", "acks=true");
  await first.ask(subscribe("acks"));
  await publish("/chat/acks", 4);
  await first.messages(4);
  await publish("/investigations/acks", 4);
  await first.messages(4);
  first.send({ type: "ack", data: { seq: 1 } });
  first.send({ type: "ack", data: { seq: 3, room: "investigation:acks" } });
  await evict("chat:acks");
  await first.close();
  using back = await open("/chat/acks", "hugo", "acks=true");
  assert.deepEqual(seqs(await back.messages(3)), [2, 3, 4]);
  assert.deepEqual(start(await back.ask(subscribe("acks"))), [3, true]);
  assert.deepEqual(seqs(await back.messages(1)), [4]);
});

test("a message's way to each who is owed it can be followed", async () => {
  const path = "/investigations/way";
  const status = () => service<Record<string, unknown>>(`${path}/messages/m-1`);
  using here = await open(path, "iris", "acks=true");
  const away = await open(path, "joao", "acks=true");
  await away.close();
  const subscriber = await open("", "kai");
  await subscriber.ask(subscribe("way"));
  await subscriber.close();
  await worker.publish(path, { type: "news", id: "m-1" });
  assert.equal((await here.next()).seq, 1);
  assert.deepEqual(await status(), { id: "m-1", seq: 1, queued: 2, delivered: 1, confirmed: 0 });
  here.send({ type: "ack", data: { seq: 1 } });
  await here.drain();
  using back = await open(path, "joao", "acks=true");
  assert.equal((await back.next()).seq, 1);
  assert.deepEqual(await status(), { id: "m-1", seq: 1, queued: 1, delivered: 1, confirmed: 1 });
  using again = await open("", "kai");
  await again.ask(subscribe("way"));
  assert.equal((await again.next()).seq, 1);
  assert.deepEqual(await status(), { id: "m-1", seq: 1, queued: 0, delivered: 2, confirmed: 1 });
  back.send({ type: "ack", data: { seq: 1 } });
  await back.drain();
  await evict("investigation:way");
  assert.deepEqual(await status(), { id: "m-1", seq: 1, queued: 0, delivered: 1, confirmed: 2 });
});

test("a worker that was ended with everybody in it still owes them what they missed", async () => {
  await using again = await TestWorker.start();
  const device = (name: string) => open("", "lia", `device=${name}`, again);
  using _room = await open("/chat/1", "lia", "", again);
  using phone = await device("phone");
  using laptop = await device("laptop");
  for (const client of [phone, laptop]) assert.equal((await client.ask(subscribe("1"))).type, "subscribed");
  await publish("/investigations/1", 2, again);
  for (const client of [phone, laptop]) assert.deepEqual(seqs(await client.messages(2)), [1, 2]);
  await again.restart();
  for (const path of ["/investigations/1", "/chat/1", "/users/lia"]) await publish(path, 2, again);
  using room = await open("/chat/1", "lia", "", again);
  assert.deepEqual(seqs(await room.messages(2)), [1, 2]);
  for (const name of ["phone", "laptop"]) {
    using back = await device(name);
    assert.deepEqual(start(back.welcome as Frame), [0, true], name);
    assert.deepEqual(seqs(await back.messages(2)), [1, 2], name);
    const [seq, recovered] = start(await back.ask(subscribe("1")));
    assert.equal(recovered, true, name);
    assert.ok(seq <= 2, "after the end of a worker, a message may come again");
    assert.deepEqual(seqs(await back.messages(4 - seq)).slice(-2), [3, 4], name);
  }
});

test("where nobody may be away, who comes back begins now", async () => {
  await using forgetful = await TestWorker.start({ settings: { OFFLINE_TTL_SECONDS: "0" } });
  const first = await open("/chat/1", "mia", "", forgetful);
  await first.close();
  await publish("/chat/1", 2, forgetful);
  using back = await open("/chat/1", "mia", "", forgetful);
  assert.deepEqual(start(back.welcome as Frame), [2, undefined]);
  assert.deepEqual(await back.drain(), []);
});
