// What was on its way when a connection broke, or when the runtime was killed, comes again to who confirms, also without
// a cursor; and to who pings, as far as its last ping tells. A socket that reads nothing stands for what is on its way.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client, type Frame } from "./support/client.ts";
import { routeOf } from "./support/ledger.ts";
import { Runtime } from "./support/runtime.ts";

const ROOM = "investigation:1";
const COUNT = 20;
const SUBSCRIBE = { type: "subscribe", data: { investigation_id: "1" } };
const PING = '{"type":"ping"}';

/** How a client that confirms hears the room: the address of its connection, and whether it subscribes there. */
const CONFIRMING = {
  "who watches and confirms": { path: `${routeOf(ROOM)}?acks=true` },
  "who follows and confirms": { path: "/api/v1/ws?acks=true", subscribe: true },
};
const PINGING = {
  "who watches and pings": { path: routeOf(ROOM) },
  "who follows and pings": { path: "/api/v1/ws", subscribe: true },
};

type Manner = { path: string; subscribe?: boolean };

async function hear(
  runtime: Runtime,
  { path, subscribe }: Manner,
  device?: string,
): Promise<{ client: Client; begin: Frame }> {
  const headers = { authorization: `Bearer ${runtime.token({})}` };
  const query = device ? `${path.includes("?") ? "&" : "?"}device=${device}` : "";
  const client = await Client.open(runtime.url(path + query, "ws"), [], { headers });
  return { client, begin: subscribe ? await client.ask(SUBSCRIBE) : (client.welcome as Frame) };
}

const service = (runtime: Runtime) => ({ authorization: `Bearer ${runtime.token({ role: "service" })}` });

async function publish(runtime: Runtime, messages: unknown): Promise<void> {
  const url = runtime.url(`${routeOf(ROOM)}/messages`);
  const response = await fetch(url, { method: "POST", headers: service(runtime), body: JSON.stringify(messages) });
  assert.equal(response.status, 200);
  await response.arrayBuffer();
}

const messages = (count: number) => Array.from({ length: count }, () => ({ type: "step" }));

/** How many connections a room has. */
async function connections(runtime: Runtime, room: string): Promise<number> {
  const health = await fetch(runtime.url(`/api/v1/ws/health?room=${room}`), { headers: service(runtime) });
  return ((await health.json()) as { connections: number }).connections;
}

/**
 * Publishes while the client reads nothing. The same user hears all of it on another device: where that is, what the
 * client is sent has been sent too.
 */
async function publishUnread(runtime: Runtime, manner: Manner, client: Client): Promise<Client> {
  const { client: witness } = await hear(runtime, manner, "witness");
  client.socket.pause();
  await publish(runtime, messages(COUNT));
  await witness.messages(COUNT);
  return witness;
}

/** The plug is pulled, and the server has noticed. */
async function breakOff(runtime: Runtime, ...clients: Client[]): Promise<void> {
  for (const client of clients) client.socket.terminate();
  for (const room of [ROOM, "user:ana"]) while ((await connections(runtime, room)) > 0) await pause(20);
}

async function crash(runtime: Runtime, ...clients: Client[]): Promise<void> {
  await runtime.kill();
  for (const client of clients) client.socket.terminate();
  await runtime.restart();
}

/** The client comes back without a cursor, and hears these again; nothing that is not among them, in their order. */
async function hearsAgain(runtime: Runtime, manner: Manner, count: number): Promise<void> {
  const { client, begin } = await hear(runtime, manner);
  assert.deepEqual([begin.data.recovered, begin.data.seq], [true, 0]);
  for (let seq = 1; seq <= count; seq++) assert.equal((await client.next()).seq, seq);
  client[Symbol.dispose]();
}

const ENDS = { "the connection breaks": breakOff, "the runtime is killed": crash };

for (const [end, happens] of Object.entries(ENDS)) {
  for (const [who, manner] of Object.entries(CONFIRMING)) {
    test(`${end}: ${who} hears an array that was on its way`, async () => {
      await using runtime = await Runtime.start();
      const { client } = await hear(runtime, manner);
      const witness = await publishUnread(runtime, manner, client);
      // What the room writes down a second later has been written, as a rule: it makes no difference to who confirms.
      await pause(1_500);
      await happens(runtime, client, witness);
      await hearsAgain(runtime, manner, COUNT);
    });

    test(`${end}: ${who} hears what was on its way from many requests`, async () => {
      await using runtime = await Runtime.start();
      const { client } = await hear(runtime, manner);
      client.socket.pause();
      for (let n = 0; n < COUNT; n++) await publish(runtime, messages(1));
      await happens(runtime, client);
      await hearsAgain(runtime, manner, COUNT);
    });

    test(`${end}: ${who} hears what was being made up for`, async () => {
      await using runtime = await Runtime.start();
      const { client: before } = await hear(runtime, manner);
      assert.equal((await before.close()).code, 1000);
      await breakOff(runtime, before);
      await publish(runtime, messages(COUNT));
      const { client } = await hear(runtime, manner);
      client.socket.pause();
      await pause(100);
      await happens(runtime, client);
      await hearsAgain(runtime, manner, COUNT);
    });
  }
}

for (const [who, manner] of Object.entries(PINGING)) {
  test(`the connection breaks: ${who} hears what was sent after its last ping`, async () => {
    await using runtime = await Runtime.start();
    const { client } = await hear(runtime, manner);
    client.send(PING);
    assert.equal((await client.next()).type, "pong");
    // Not in the same millisecond: that would count as heard.
    await pause(10);
    // A message that is delivered to who follows must be there before its connection ends.
    const witness = await publishUnread(runtime, manner, client);
    await breakOff(runtime, client, witness);
    await hearsAgain(runtime, manner, COUNT);
  });
}

test("an upgrade that the client gave up takes nothing from who confirms", async () => {
  await using runtime = await Runtime.start();
  const manner = CONFIRMING["who watches and confirms"];
  const { client: before } = await hear(runtime, manner);
  await before.close();
  await publish(runtime, messages(COUNT));
  for (let ms = 0; ms < 8; ms++) {
    const headers = { authorization: `Bearer ${runtime.token({})}` };
    const given = new Client(runtime.url(manner.path, "ws"), [], { headers });
    given.closed.catch(() => "it was given up");
    await pause(ms);
    await breakOff(runtime, given);
  }
  await hearsAgain(runtime, manner, COUNT);
});
