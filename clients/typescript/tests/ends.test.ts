// Whatever is promised is settled, however a connection ends.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Chat, Client, ClientOptions, RealtimeError } from "../src/index.ts";
import { FakeSocket, offlineClient, settle } from "./support/socket.ts";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

const bytes = new Uint8Array(10);
const refusal = { code: "FORBIDDEN", message: "No.", retry: false };

interface World {
  client: Client;
  chat: Chat;
}

/** Everything that can be waited for; what connects first can be left out. */
function promises({ client, chat }: World, connects = true): Record<string, Promise<unknown>> {
  const answer = chat.send("Oi", { id: "q1" });
  const room = client.investigation("i");
  return {
    "answer.sent": answer.sent,
    "answer.done": answer.done,
    "a loop over an answer": answer[Symbol.asyncIterator]().next(),
    "chat.upload()": chat.upload(bytes),
    "a loop over a chat": chat[Symbol.asyncIterator]().next(),
    "room.ready": room.ready,
    "a loop over a room": room[Symbol.asyncIterator]().next(),
    ...(connects && { "chat.ready()": chat.ready(), "client.ready()": client.ready() }),
  };
}

/** How each is settled: with a code, or `done`. */
async function outcomes(waiting: Record<string, Promise<unknown>>): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const [name, promise] of Object.entries(waiting)) {
    promise.then(
      () => {
        all[name] = "done";
      },
      ({ code }: RealtimeError) => {
        all[name] = code;
      },
    );
  }
  for (let turns = 0; turns < 200 && Object.keys(all).length < Object.keys(waiting).length; turns += 1) await turn();
  return all;
}

const allAs = (waiting: object, code: string) => Object.fromEntries(Object.keys(waiting).map((name) => [name, code]));
const LOOPS = { "a loop over a chat": "done", "a loop over a room": "done" };

function offline(options: Partial<ClientOptions> = {}): World {
  const client = offlineClient(options);
  return { client, chat: client.chat("s") };
}

test("what waits when a connection stops is told why, and so is what comes after that", async () => {
  const world = offline({ getToken: () => null });
  const waiting = promises(world);
  assert.deepEqual(await outcomes(waiting), allAs(waiting, "NO_TOKEN"));
  assert.deepEqual([world.client.state.status, world.chat.state.status], ["stopped", "stopped"]);
  const after = promises(world);
  assert.deepEqual(await outcomes(after), allAs(after, "NO_TOKEN"));
});

test("where a connection is refused for good, nothing waits for it", async () => {
  const world = offline();
  await settle();
  const refuse = () => {
    for (const socket of FakeSocket.all.splice(0)) socket.say("error", refusal);
  };
  world.client.connect();
  await settle();
  refuse();
  const waiting = promises(world, false);
  assert.deepEqual(await outcomes(waiting), allAs(waiting, "FORBIDDEN"), "at once, without another attempt");
});

test("connect() brings a stopped chat back: what is said then waits again", async () => {
  let token: string | null = null;
  const { chat } = offline({ getToken: () => token });
  await settle();
  await assert.rejects(chat.send("Oi").done, { code: "NO_TOKEN" });
  token = "token";
  chat.connect();
  const { sent } = chat.send("Oi", { id: "q2" });
  const uploaded = chat.upload(bytes, { id: "f" });
  await settle();
  const socket = FakeSocket.last;
  socket.welcome();
  socket.say("ack", { id: "q2", seq: 1 });
  assert.equal((await sent).seq, 1);
  for (let turns = 0; socket.take("upload").length === 0; turns += 1) {
    assert.ok(turns < 1_000);
    await turn();
  }
  socket.say("upload_complete", { file_id: "f", size: 10, seq: 2 });
  assert.equal((await uploaded).seq, 2);
});

test("what waits when the client is closed is told so, wherever it is", async () => {
  for (const at of ["before anything", "while it is asked where it was", "connected"]) {
    const world = offline(at === "before anything" ? {} : { storage: { get: () => null, set() {}, remove() {} } });
    if (at === "connected") {
      world.client.connect();
      await settle();
      for (const socket of FakeSocket.all.slice(-2)) socket.welcome();
    }
    const { "chat.ready()": chatReady, "client.ready()": clientReady, ...waiting } = promises(world);
    const ready = at === "connected" ? "done" : "CLOSED";
    const all = outcomes({ ...waiting, chatReady, clientReady } as Record<string, Promise<unknown>>);
    await world.client.close();
    const want = { ...allAs(waiting, "CLOSED"), ...LOOPS, chatReady: ready, clientReady: ready };
    assert.deepEqual(await all, want, at);
    assert.deepEqual(await outcomes({ again: world.client.ready() }), { again: "CLOSED" });
    assert.deepEqual(await outcomes({ again: world.chat.ready() }), { again: "CLOSED" });
    assert.deepEqual(await outcomes({ again: world.chat.upload(bytes) }), { again: "CLOSED" });
  }
});

test("who waits in a listener, and closes there, is told so", async () => {
  const world = offline({ autoConnect: false });
  let waiting: Record<string, Promise<unknown>> = {};
  const end = world.client.on("@state", () => {
    end();
    waiting = { client: world.client.ready(), chat: world.chat.ready() };
    world.client.close();
  });
  world.client.connect();
  assert.deepEqual(await outcomes(waiting), { client: "CLOSED", chat: "CLOSED" });
});

test("what waits when a chat is left is told so, now or when the last who has it leaves", async () => {
  const client = offlineClient();
  const [first, second] = [client.chat("s"), client.chat("s")];
  const ready = outcomes({ first: first.ready(), second: second.ready().catch(() => assert.fail()) });
  first.close();
  await settle();
  FakeSocket.last.welcome();
  assert.deepEqual(await ready, { first: "CLOSED", second: "done" });
  const answer = second.send("Oi");
  const uploaded = second.upload(bytes);
  for (let turns = 0; turns < 10; turns += 1) await turn();
  const all = outcomes({ done: answer.done, sent: answer.sent, uploaded });
  second.close();
  mock.timers.tick(1_000);
  assert.deepEqual(await all, { done: "CLOSED", sent: "CLOSED", uploaded: "CLOSED" });
});

test("a file that is never read holds nothing up", async () => {
  const { client, chat } = offline();
  const blob = new Blob([bytes]);
  blob.slice = () => ({ arrayBuffer: () => new Promise(() => {}) }) as unknown as Blob;
  const controller = new AbortController();
  const all = outcomes({
    aborted: chat.upload(blob, { signal: controller.signal }),
    closed: chat.upload(blob),
  });
  for (let turns = 0; turns < 10; turns += 1) await turn();
  controller.abort("enough");
  await client.close();
  assert.deepEqual(await all, { aborted: "ABORTED", closed: "CLOSED" });
});

test("a signal ends an upload and an answer wherever the connection is", async () => {
  for (const isIdle of [true, false]) {
    const { chat } = offline();
    await settle();
    if (isIdle) chat.disconnect();
    else FakeSocket.last.welcome();
    const controller = new AbortController();
    const { signal } = controller;
    const answer = chat.send("Oi", { signal });
    const all = outcomes({ uploaded: chat.upload(bytes, { signal }), sent: answer.sent, done: answer.done });
    for (let turns = 0; turns < 10; turns += 1) await turn();
    controller.abort("enough");
    assert.deepEqual(await all, { uploaded: "ABORTED", sent: "CANCELLED", done: "done" });
  }
});

test("who connects while it is told that it has left is connected", async () => {
  const { client } = offline();
  client.connect();
  await settle();
  let ready: Promise<void> | undefined;
  const end = client.on("@state", () => {
    end();
    ready = client.ready();
  });
  client.disconnect();
  await settle();
  FakeSocket.last.welcome();
  await ready;
  assert.equal(client.state.status, "connected");
});

test("nothing is begun on what is being closed, or was given up", async () => {
  const { client, chat } = offline();
  await settle();
  FakeSocket.last.welcome();
  const controller = new AbortController();
  const uploaded = chat.upload(new Uint8Array(100_000), { signal: controller.signal });
  for (let turns = 0; turns < 100 && controller.signal.aborted === false; turns += 1) {
    await Promise.resolve();
    if (turns === 99) controller.abort();
  }
  await assert.rejects(uploaded, { name: "AbortError" });
  for (let turns = 0; turns < 30; turns += 1) await turn();
  assert.deepEqual(FakeSocket.last.take("upload"), []);
  let refused: unknown;
  chat.send("Oi").onChange(() => {
    try {
      chat.send("again");
    } catch (error) {
      refused = error;
    }
  });
  await client.close();
  assert.equal((refused as RealtimeError).code, "CLOSED");
});
