// How many connections a user has, wherever they are, and how a service ends them all.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

const TEN = ["", "", "", "", "/chat/a", "/chat/a", "/chat/b", "/investigations/a", "/investigations/b", "/analysis/a"];
const BOTH = ["", "/chat/eleventh"];

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
});
after(() => worker[Symbol.asyncDispose]());

/** As browsers do, the client ends the transport itself when the server, done with it, does not. */
const bearer = (token: string, closeTimeout = 500) => ({ headers: { authorization: `Bearer ${token}` }, closeTimeout });

/** Connects, and waits for nothing: the connection may be refused. */
const dial = (path: string, sub: string) =>
  new Client(worker.url(`/api/v1/ws${path}`, "ws"), [], bearer(worker.token({ sub }), 50));

const open = (path: string, sub: string) =>
  Client.open(worker.url(`/api/v1/ws${path}`, "ws"), [], bearer(worker.token({ sub })));

async function openAll(paths: string[], sub: string): Promise<Client[]> {
  const clients = [];
  for (const path of paths) clients.push(await open(path, sub));
  return clients;
}

/** Connects as soon as there is room again: that a connection is closed travels from room to room. */
async function openSoon(path: string, sub: string): Promise<Client> {
  for (const signal = AbortSignal.timeout(10_000); ; await pause(20, undefined, { signal })) {
    const client = dial(path, sub);
    if ((await client.next()).type !== "error") return client;
    client[Symbol.dispose]();
  }
}

/** Asserts that a connection is refused on both kinds of route. */
async function refused(sub: string, code: string, close: number, retry: boolean): Promise<void> {
  for (const path of BOTH) {
    using client = dial(path, sub);
    const { type, data } = await client.next();
    assert.deepEqual([type, data.code, data.retry], ["error", code, retry], path);
    assert.deepEqual(await client.closed, { code: close, reason: code });
  }
}

const full = (sub: string) => refused(sub, "TOO_MANY_CONNECTIONS", 1013, true);
const barred = (sub: string) => refused(sub, "BARRED", 1008, false);

const roomsOf = (sub: string) => [
  `user:${sub}`,
  ...["chat:a", "chat:b", "investigation:a", "investigation:b", "analysis:a"],
];

/** Puts rooms to sleep, those that are awake. */
async function evictAll(rooms: string[]): Promise<void> {
  for (const room of rooms) await worker.evict(room).catch((error) => assert.match(error.message, /not .* running/));
}

async function disconnect(sub: string, body?: string, token = worker.token({ role: "service" })) {
  const url = worker.url(`/api/v1/ws/users/${sub}/disconnect`);
  const response = await fetch(url, { method: "POST", ...bearer(token), ...(body !== undefined && { body }) });
  // biome-ignore lint/suspicious/noExplicitAny: an answer or an error
  return { status: response.status, body: (await response.json()) as any };
}

/** Asserts that a service has ended these connections, and that they were told so. */
async function ended(clients: Client[]): Promise<void> {
  for (const client of clients) assert.equal((await client.next()).data.code, "DISCONNECTED");
  for (const client of clients) assert.deepEqual(await client.closed, { code: 4003, reason: "DISCONNECTED" });
}

test("a user has ten connections in all rooms together, and another user is not concerned", async () => {
  const clients = await openAll(TEN, "ten");
  await full("ten");
  await openAll(BOTH, "other");
  for (const client of clients) assert.deepEqual(await client.drain(), []);
});

for (const closing of ["", "/chat/a"]) {
  for (const opening of ["", "/chat/new"]) {
    const [from, to] = [closing, opening].map((path) => path || "the general connection");
    test(`a close on ${from} makes room for one on ${to}, and for one alone`, async () => {
      const sub = `moves-${from?.length}-${to?.length}`;
      const clients = await openAll(TEN, sub);
      await full(sub);
      assert.equal((await clients[TEN.indexOf(closing)]?.close())?.code, 1000);
      await openSoon(opening, sub);
      await full(sub);
    });
  }
}

test("a connection that breaks off without a word makes room as well", async () => {
  const clients = await openAll(TEN, "breaks");
  await full("breaks");
  for (const index of [0, 4]) {
    clients[index]?.socket.terminate();
    await openSoon("/chat/new", "breaks");
    await full("breaks");
  }
});

test("the count survives the sleep of all rooms", async () => {
  const clients = await openAll(TEN, "sleeper");
  for (const rooms of [["user:sleeper"], roomsOf("sleeper")]) {
    await evictAll(rooms);
    await full("sleeper");
  }
  for (const index of [0, 4]) {
    await evictAll(roomsOf("sleeper"));
    await clients[index]?.close();
    await openSoon(BOTH[index && 1] ?? "", "sleeper");
    await full("sleeper");
  }
});

for (const [name, path] of [
  ["one room", () => "/chat/crowd"],
  ["rooms of their own", (n: number) => `/chat/crowd-${n}`],
  ["both kinds of rooms", (n: number) => (n % 2 ? "" : "/chat/crowd")],
] as const) {
  test(`of many that come to ${name} at once ten stay, and nobody after them`, async () => {
    const sub = `crowd-${name.replaceAll(" ", "-")}`;
    const first = Array.from({ length: 40 }, (_, n) => dial(path(n), sub));
    const types = (await Promise.all(first.map((client) => client.next()))).map(({ type }) => type);
    assert.equal(types.filter((type) => type !== "error").length, 10);
    for (let round = 0; round < 5; round++) await full(sub);
  });
}

test("a service ends all connections of a user, wherever they are, and nobody else's", async () => {
  const others = await openAll(TEN, "stays");
  for (const asleep of [[], ["user:gone"], roomsOf("gone")]) {
    const clients = await openAll(TEN, "gone");
    await evictAll(asleep);
    assert.deepEqual(await disconnect("gone"), { status: 200, body: { disconnected: 10 } });
    await ended(clients);
    assert.deepEqual(await disconnect("gone"), { status: 200, body: { disconnected: 0 } });
  }
  for (const client of others) assert.deepEqual(await client.drain(), []);
});

for (const path of ["", "/chat/deaf"]) {
  test(`an ended connection on ${path || "the general one"} is gone, even if its client never hears of it`, async () => {
    const sub = `deaf-${path.length}`;
    const room = path ? "chat:deaf" : `user:${sub}`;
    const clients = await openAll(Array(10).fill(path), sub);
    for (const client of clients) client.socket.pause();
    assert.deepEqual((await disconnect(sub)).body, { disconnected: 10 });
    await worker.evict(room);
    const health = await fetch(worker.url(`/api/v1/ws/health?room=${room}`), bearer(worker.token({ role: "service" })));
    assert.equal(((await health.json()) as { connections: number }).connections, 0);
    assert.deepEqual((await disconnect(sub)).body, { disconnected: 0 });
    for (const again of BOTH) await open(again, sub);
    for (const client of clients) client.socket.resume();
    await ended(clients);
  });
}

test("a barred user comes in nowhere, however often the rooms sleep, and others do", async () => {
  const clients = await openAll(["", "/chat/a"], "barred");
  const answer = await disconnect("barred", '{"bar_seconds": 60}');
  assert.deepEqual(answer, { status: 200, body: { disconnected: 2 } });
  await ended(clients);
  for (let round = 0; round < 2; round++) {
    await barred("barred");
    await evictAll(roomsOf("barred"));
  }
  await barred("barred");
  await openAll(BOTH, "not-barred");
});

test("a bar ends by itself, on both kinds of route", async () => {
  await disconnect("back", '{"bar_seconds": 1}');
  await barred("back");
  for (const path of BOTH) await openSoon(path, "back");
});

test("only a service ends connections, and only of a user that its token names", async () => {
  const client = await open("", "safe");
  for (const [claims, status, code] of [
    [{ role: "user", sub: "safe" }, 403, "FORBIDDEN"],
    [{ role: "service", rooms: ["user:unsafe", "chat:*"] }, 403, "FORBIDDEN"],
    [{ role: "service", type: "refresh" }, 401, "INVALID_TOKEN"],
  ] as const) {
    const answer = await disconnect("safe", "{}", worker.token(claims));
    assert.deepEqual([answer.status, answer.body.error.code], [status, code]);
  }
  assert.deepEqual(await client.drain(), []);
  const named = worker.token({ role: "service", rooms: ["user:safe"] });
  assert.deepEqual((await disconnect("safe", "", named)).body, { disconnected: 1 });
});

test("a body that makes no sense ends nothing", async () => {
  const client = await open("", "kept");
  for (const [body, code] of [
    ["{", "INVALID_JSON"],
    ["7", "INVALID_MESSAGE"],
    ["null", "INVALID_MESSAGE"],
    ['{"bar_seconds":-1}', "INVALID_MESSAGE"],
    ['{"bar_seconds":1.5}', "INVALID_MESSAGE"],
    ['{"bar_seconds":"60"}', "INVALID_MESSAGE"],
    ['{"bar_seconds":2592001}', "INVALID_MESSAGE"],
    ['{"bar":60}', "INVALID_MESSAGE"],
  ] as const) {
    const answer = await disconnect("kept", body);
    assert.deepEqual([answer.status, answer.body.error.code], [400, code], body);
  }
  assert.deepEqual(await client.drain(), []);
  await open("/chat/a", "kept");
});
