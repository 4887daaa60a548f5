// What is for everybody reaches every general connection, awake or asleep.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client, type Frame } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

const SYSTEM = "system:all";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

const open = (path: string, sub: string) =>
  Client.open(worker.url(`/api/v1/ws${path}?token=${worker.token({ sub })}`, "ws"));

async function announce(type: string): Promise<number> {
  const { status, body } = await worker.publish("/system", { type, data: { text: type } });
  assert.equal(status, 200);
  return body.messages[0].seq;
}

/** Connects, and waits until the connection is among those who hear: a user's first one has to be made known. */
async function attend(sub: string): Promise<Client> {
  const client = await open("", sub);
  for (const signal = AbortSignal.timeout(10_000); ; await pause(20, undefined, { signal })) {
    await announce("probe");
    if ((await client.drain()).some(({ room }) => room === SYSTEM)) return client;
  }
}

/** The next message of that type; before it only probes may come. */
async function hear(client: Client, type: string): Promise<Frame> {
  for (;;) {
    const frame = await client.next();
    if (frame.type === type) return frame;
    assert.equal(frame.type, "probe");
  }
}

const unless = (type: string) => (frame: Frame) => frame.type !== type;

/** Whether a room is awake. It is asleep afterwards. */
async function wasAwake(room: string): Promise<boolean> {
  const evicted = worker.evict(room).then(() => true);
  return evicted.catch((error) => {
    assert.match(error.message, /not currently running/);
    return false;
  });
}

test("a message reaches every general connection of all users once, and no direct one", async () => {
  const general = await Promise.all(["ana", "ana", "ana", "bea", "cai"].map(attend));
  const direct = await Promise.all(["/chat/1", "/investigations/1", "/analysis/1"].map((path) => open(path, "ana")));
  const seq = await announce("maintenance");
  for (const client of general) {
    const message = await hear(client, "maintenance");
    assert.deepEqual([message.room, message.seq, message.data], [SYSTEM, seq, { text: "maintenance" }]);
  }
  for (const client of general) assert.deepEqual((await client.drain()).filter(unless("probe")), []);
  for (const client of direct) assert.deepEqual(await client.drain(), []);
});

test("messages keep their order, and a repeated one is not sent again", async () => {
  const client = await attend("order");
  const message = { type: "step", id: "once" };
  for (let round = 0; round < 2; round++) await worker.publish("/system", message);
  await worker.publish("/system", [message, { type: "step", id: "b" }, { type: "step", id: "c" }]);
  const ids = [];
  while (ids.length < 3) ids.push((await hear(client, "step")).id);
  assert.deepEqual(ids, ["once", "b", "c"]);
  assert.deepEqual(await client.drain(), []);
});

test("it arrives, once, though the user's room sleeps, or the system's, or both", async () => {
  const [phone, laptop] = [await attend("sleeper"), await attend("sleeper")];
  const rooms = ["user:sleeper", SYSTEM];
  for (const asleep of [[], ["user:sleeper"], [SYSTEM], rooms, rooms]) {
    for (const room of asleep) assert.equal(await wasAwake(room), true, room);
    const seq = await announce("update");
    for (const client of [phone, laptop]) assert.equal((await hear(client, "update")).seq, seq);
  }
  for (const client of [phone, laptop]) assert.deepEqual(await client.drain(), []);
});

test("of a user who sleeps, what came after another one's close still arrives", async () => {
  const [phone, laptop] = [await attend("half"), await attend("half")];
  await worker.evict("user:half");
  await phone.close();
  const seq = await announce("still");
  assert.equal((await hear(laptop, "still")).seq, seq);
});

test("a user whose last connection is closed is not called any more, and hears what comes after the return", async () => {
  const witness = await attend("witness");
  const leaving = await attend("leaving");
  await wasAwake("user:leaving");
  await announce("one");
  for (const client of [witness, leaving]) await hear(client, "one");
  assert.equal(await wasAwake("user:leaving"), true, "it is called while somebody listens");

  await leaving.close();
  await quiet("user:leaving", witness);
  const missed = await announce("missed");
  assert.equal((await hear(witness, "missed")).seq, missed);

  const back = await attend("leaving");
  const seq = await announce("later");
  for (const client of [witness, back]) assert.equal((await hear(client, "later")).seq, seq);
  assert.deepEqual(await back.drain(), []);
});

/** Waits until a message that another user has heard wakes this room no more. */
async function quiet(room: string, witness: Client): Promise<void> {
  for (const signal = AbortSignal.timeout(10_000); ; await pause(20, undefined, { signal })) {
    await wasAwake(room);
    for (const type of ["hush", "hush-2"]) {
      await announce(type);
      await hear(witness, type);
    }
    if (!(await wasAwake(room))) return;
  }
}
