// Emitters, loops and stores: what a program touches.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Emitter, Feed } from "../src/emitter.ts";
import type { Message } from "../src/messages.ts";
import { indexedDbCursors } from "../src/storage/indexeddb.ts";
import { localStorageCursors } from "../src/storage/local.ts";
import { FakeSocket, offlineClient, settle } from "./support/socket.ts";

const message = (type: string): Message => ({ type, data: {}, timestamp: "t", id: "i", room: "user:ana" });

test("a listener is called for its name until it ends, the same function as often as it listens", () => {
  const emitter = new Emitter();
  const heard: unknown[] = [];
  const listen = (event: unknown) => heard.push(event);
  const [first, second] = [emitter.on("a", listen), emitter.on("a", listen)];
  emitter.emit("a", 1);
  first();
  first();
  emitter.emit("a", 2);
  second();
  emitter.emit("a", 3);
  emitter.emit("b", 4);
  assert.deepEqual(heard, [1, 1, 2]);
});

test("families and all get what belongs to them", () => {
  const emitter = new Emitter();
  const heard: string[] = [];
  for (const name of ["investigation_*", "*", "@state"]) emitter.on(name, () => heard.push(name));
  emitter.publish(message("investigation_progress"));
  emitter.publish(message("investigation"));
  assert.deepEqual(heard, ["investigation_*", "*", "*"]);
  emitter.clear();
  emitter.publish(message("x"));
  assert.equal(heard.length, 3);
});

test("a listener that throws takes nothing from the next, and is not silent", () => {
  const emitter = new Emitter();
  let heard = 0;
  emitter.on("a", () => {
    throw new Error("mine");
  });
  emitter.on("a", () => {
    heard += 1;
  });
  const later: (() => void)[] = [];
  const real = globalThis.queueMicrotask;
  globalThis.queueMicrotask = (task) => void later.push(task);
  emitter.emit("a", 1);
  globalThis.queueMicrotask = real;
  assert.equal(heard, 1);
  assert.throws(() => later[0]?.(), /mine/);
});

test("a loop takes what waited before it ends, and what ends it with an error after that", async () => {
  const feed = new Feed<number>(() => () => {});
  feed.push(1);
  feed.end(new Error("over"));
  feed.push(2);
  feed.end();
  assert.deepEqual(await feed.next(), { value: 1, done: false });
  await assert.rejects(feed.next(), /over/);
});

test("a loop that waits is ended too, and one that is left lets go", async () => {
  let left = 0;
  const listen = () => () => {
    left += 1;
  };
  const waiting = new Feed<number>(listen);
  const next = waiting.next();
  waiting.end();
  assert.deepEqual(await next, { value: undefined, done: true });
  const failing = new Feed<number>(listen);
  const rejected = assert.rejects(failing.next(), /over/);
  failing.end(new Error("over"));
  await rejected;
  const broken = new Feed<number>(listen);
  broken.push(1);
  for await (const _ of broken) break;
  assert.deepEqual(await broken.next(), { value: undefined, done: true });
  assert.equal(left, 3);
});

test("a loop that falls behind without end is ended instead of filling the memory", async () => {
  const feed = new Feed<number>(() => () => {});
  for (let n = 0; n <= 10_001; n += 1) feed.push(n);
  let taken = 0;
  await assert.rejects(async () => {
    for await (const _ of feed) taken += 1;
  }, /behind/);
  assert.equal(taken, 10_001);
});

test("localStorage is asked for when it is needed, and any like it does", () => {
  const items = new Map<string, string>();
  const cursors = localStorageCursors({
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  });
  cursors.set("a", "1");
  assert.equal(cursors.get("a"), "1");
  cursors.remove("a");
  assert.equal(cursors.get("a"), null);
});

/** As much of IndexedDB as a store of strings needs. */
function database(): IDBFactory {
  const items = new Map<string, string>();
  const done = <T>(result: T) => {
    const request = {
      result,
      error: null,
      onsuccess: null as (() => void) | null,
      onupgradeneeded: null as (() => void) | null,
    };
    queueMicrotask(() => {
      request.onupgradeneeded?.();
      request.onsuccess?.();
    });
    return request;
  };
  const store = {
    get: (key: string) => done(items.get(key)),
    put: (value: string, key: string) => done(items.set(key, value)),
    delete: (key: string) => done(items.delete(key)),
  };
  const opened = { createObjectStore: () => store, transaction: () => ({ objectStore: () => store }) };
  return { open: () => done(opened) } as unknown as IDBFactory;
}

test("cursors can be kept in IndexedDB", async () => {
  const cursors = indexedDbCursors("test", database());
  assert.equal(await cursors.get("a"), undefined);
  await cursors.set("a", "1");
  assert.equal(await cursors.get("a"), "1");
  await cursors.remove("a");
  assert.equal(await cursors.get("a"), undefined);
});

test("a store that fails costs nothing but the way back", async () => {
  const fails = () => {
    throw new Error("forbidden");
  };
  const before = FakeSocket.all.length;
  const client = offlineClient({ storage: { get: fails, set: fails, remove: fails } });
  client.connect();
  while (FakeSocket.all.length === before) await turn();
  FakeSocket.last.welcome();
  assert.equal(client.state.status, "connected");
  await client.close();
});

test("it connects with the first that wants to hear something, unless it left on purpose or may not", async () => {
  const before = FakeSocket.all.length;
  const client = offlineClient();
  client.on("@state", () => {});
  await settle();
  assert.equal(FakeSocket.all.length, before, "its own events need no connection");
  client.on("anomaly_detected", () => {});
  await settle();
  assert.equal(FakeSocket.all.length, before + 1);
  client.disconnect();
  client.investigation("1");
  await settle();
  assert.equal(FakeSocket.all.length, before + 1);
  offlineClient({ autoConnect: false }).investigation("1");
  await settle();
  assert.equal(FakeSocket.all.length, before + 1);
  await client.close();
});

test("whatever form the address has, it is that of the server", async () => {
  for (const url of [
    "https://a.example/x",
    "wss://a.example/x/",
    "https://a.example/x/api/v1/ws",
    "wss://a.example/x/api/v1/ws/",
  ]) {
    const client = offlineClient({ url, device: "phone", acks: true });
    client.connect();
    await settle();
    assert.equal(FakeSocket.last.url.href, "wss://a.example/x/api/v1/ws?device=phone&acks=true");
    await client.close();
  }
});

test("waiting for a connection ends when it is left", async () => {
  const client = offlineClient();
  const ready = client.ready();
  await settle();
  client.disconnect();
  await assert.rejects(ready, { code: "CLOSED" });
  const room = client.investigation("1");
  const live = room.ready;
  room.close();
  room.close();
  await assert.rejects(live, { code: "CLOSED" });
  await assert.rejects(room.ready, { code: "CLOSED" });
  for await (const _ of room) assert.fail("nothing comes");
});

test("waiting for a room ends when the connection stops, and may begin anew with the next", async () => {
  const client = offlineClient({ getToken: () => null });
  const room = client.investigation("1");
  const live = room.ready;
  await assert.rejects(live, { code: "NO_TOKEN" });
  await assert.rejects(room.ready, { code: "NO_TOKEN" });
  client.connect();
  const again = room.ready;
  await client.close();
  await assert.rejects(again, { code: "CLOSED" });
});
