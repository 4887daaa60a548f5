// A backend POSTs, everybody in the room has it.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
});
after(() => worker[Symbol.asyncDispose]());

const open = (path: string, sub = "ana") =>
  Client.open(worker.url(`/api/v1/ws${path}?token=${worker.token({ sub })}`, "ws"));

for (const [collection, kind] of [
  ["investigations", "investigation"],
  ["analysis", "analysis"],
  ["chat", "chat"],
]) {
  test(`a message for one of ${collection} reaches every socket there and none elsewhere`, async () => {
    using ana = await open(`/${collection}/7`);
    using bea = await open(`/${collection}/7`, "bea");
    using elsewhere = await open(`/${collection}/8`);
    const { status, body } = await worker.publish(`/${collection}/7`, {
      type: "investigation_update",
      data: { progress: 0.5, note: "ação" },
    });
    assert.equal(status, 200);
    const [{ id, seq }] = body.messages;
    for (const client of [ana, bea]) {
      const message = await client.next();
      assert.equal(message.type, "investigation_update");
      assert.deepEqual(message.data, { progress: 0.5, note: "ação" });
      assert.deepEqual([message.id, message.seq, message.room], [id, seq, `${kind}:7`]);
      assert.equal(new Date(message.timestamp).toISOString(), message.timestamp);
    }
    assert.deepEqual(await elsewhere.drain(), []);
  });
}

test("a message for a user reaches all of the user's devices", async () => {
  using phone = await open("");
  using laptop = await open("");
  using other = await open("", "bea");
  await worker.publish("/users/ana", { type: "notification", data: { text: "ready" } });
  for (const device of [phone, laptop]) assert.equal((await device.next()).data.text, "ready");
  assert.deepEqual(await other.drain(), []);
});

test("an array is taken as a whole and arrives in its order", async () => {
  using client = await open("/chat/order");
  const messages = Array.from({ length: 50 }, (_, n) => ({ type: "step", data: { n } }));
  const { body } = await worker.publish("/chat/order", messages);
  assert.deepEqual(
    body.messages.map(({ seq }: { seq: number }) => seq),
    messages.map((_, n) => n + 1),
  );
  const received = await client.drain();
  assert.deepEqual(
    received.map(({ data }) => data.n),
    messages.map(({ data }) => data.n),
  );
});

test("a retried message is not sent again, and its publisher is told", async () => {
  using client = await open("/chat/retry");
  const message = { type: "step", id: "m-1", data: {} };
  const first = await worker.publish("/chat/retry", message);
  assert.deepEqual(first.body, { messages: [{ id: "m-1", seq: 1 }] });
  const retry = await worker.publish("/chat/retry", [message, { type: "step", id: "m-2" }, { type: "x", id: "m-2" }]);
  assert.deepEqual(retry.body.messages, [
    { id: "m-1", seq: 1, duplicate: true },
    { id: "m-2", seq: 2 },
    { id: "m-2", seq: 2, duplicate: true },
  ]);
  assert.deepEqual(
    (await client.drain()).map(({ id }) => id),
    ["m-1", "m-2"],
  );
});

test("a body that cannot be taken is refused as a whole, with a code and a sentence", async () => {
  using client = await open("/chat/bad");
  for (const [body, status, code] of [
    ["{", 400, "INVALID_JSON"],
    ["", 400, "INVALID_JSON"],
    [new Uint8Array([34, 0xff, 34]), 400, "INVALID_JSON"],
    [{ data: {} }, 400, "INVALID_MESSAGE"],
    [{ type: "pong" }, 400, "INVALID_MESSAGE"],
    [[{ type: "good" }, { type: "bad", id: "a b" }], 400, "INVALID_MESSAGE"],
    [{ type: "big", data: "x".repeat(1 << 20) }, 413, "TOO_LARGE"],
    [{ type: "frame", data: "x".repeat((1 << 20) - 40) }, 413, "TOO_LARGE"],
  ] as const) {
    const answer = await worker.publish("/chat/bad", body);
    assert.deepEqual([answer.status, answer.body.error.code], [status, code]);
    assert.ok(answer.body.error.message.length > 10);
  }
  assert.deepEqual(await client.drain(), []);
});

/** A body of so many bytes, in chunks that come one after the other. */
function chunks(bytes: number): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(64 * 1024).fill(32);
  let left = bytes / chunk.length;
  return new ReadableStream({ pull: (to) => (left-- > 0 ? to.enqueue(chunk) : to.close()) });
}

test("a body over the limit is heard to its end and refused, whether it says its length or not", async () => {
  const url = worker.url("/api/v1/ws/chat/1/messages");
  const headers = { authorization: `Bearer ${worker.token({ role: "service" })}` };
  for (const mebibytes of [2, 4, 15]) {
    for (const body of [new Uint8Array(mebibytes << 20), chunks(mebibytes << 20)]) {
      const response = await fetch(url, { method: "POST", headers, body, duplex: "half" } as RequestInit);
      assert.equal(response.status, 413, `${mebibytes} MiB`);
      assert.equal(((await response.json()) as { error: { code: string } }).error.code, "TOO_LARGE");
    }
  }
});

/** What comes back for a body without an end until the connection ends, on a bare socket: it may be cut off unheard. */
async function flood(length: string): Promise<string> {
  const { hostname, port } = new URL(worker.url("/"));
  const socket = connect(Number(port), hostname);
  const ended = new Promise((resolve) => socket.on("close", resolve));
  let answer = "";
  socket.on("data", (data) => {
    answer += data;
  });
  socket.on("error", () => {});
  const token = worker.token({ role: "service" });
  socket.write(
    `POST /api/v1/ws/chat/1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n${length}\r\n`,
  );
  const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
  const pour = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", pour);
  pour();
  await ended;
  return answer;
}

for (const length of ["transfer-encoding: chunked\r\n", `content-length: ${2 ** 40}\r\n`]) {
  test(`a body without an end is cut off (${length.trim()})`, { timeout: 30_000 }, async () => {
    assert.match(await flood(length), /^$|^HTTP\/1.1 413 /);
  });
}

test("the largest message that fits comes through whole", async () => {
  using client = await open("/chat/large");
  const data = "é".repeat(500_000);
  const { status } = await worker.publish("/chat/large", { type: "large", data });
  assert.equal(status, 200);
  assert.equal((await client.next()).data, data);
});
