// Sockets: welcome, ping, and what is said to frames that make no sense.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

const open = (path: string) => Client.open(worker.url(`/api/v1/ws${path}?token=${worker.token({})}`, "ws"));

for (const [path, room] of [
  ["/investigations/inv-123", "investigation:inv-123"],
  ["/analysis/a.1", "analysis:a.1"],
  ["/chat/s%40x", "chat:s@x"],
] as const) {
  test(`${path} welcomes to ${room}`, async () => {
    using client = await open(path);
    const { type, data, timestamp, id } = client.welcome ?? assert.fail();
    assert.equal(type, "connection");
    assert.deepEqual([data.status, data.room, data.seq], ["connected", room, 0]);
    assert.equal(data.session_id, room.startsWith("chat") ? "s@x" : data.connection_id);
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.equal(new Date(timestamp).toISOString(), timestamp);
  });
}

test("the general connection welcomes its user", async () => {
  const url = worker.url(`/api/v1/ws?token=${worker.token({ sub: "ana@x.org" })}&connection_type=analysis`, "ws");
  using client = await Client.open(url);
  assert.equal(client.welcome?.type, "connection_established");
  assert.equal(client.welcome?.data.user_id, "ana@x.org");
  assert.equal(client.welcome?.data.connection_type, "analysis");
});

test("the exact ping is answered by the runtime, every other by the room", async () => {
  using client = await open("/chat/1");
  client.send('{"type":"ping"}');
  assert.equal(await client.text(), '{"type":"pong","data":{}}');
  const pong = await client.ask({ type: "ping", data: {} });
  assert.deepEqual([pong.type, pong.data], ["pong", {}]);
  assert.ok(pong.id);
});

test("a bad frame is answered with its code, and the connection goes on", async () => {
  using client = await open("/investigations/1");
  for (const [frame, code, type] of [
    ["hello", "INVALID_JSON"],
    ["[1]", "INVALID_FRAME"],
    ['{"data":{}}', "INVALID_FRAME"],
    ['{"type":"dance"}', "UNKNOWN_TYPE", "dance"],
    ['{"type":"subscribe","data":{}}', "INVALID_FRAME", "subscribe"],
    ['{"type":"subscribe","data":{"investigation_id":"a b"}}', "INVALID_ID", "subscribe"],
    [Buffer.from('{"type":"ping"}'), "BINARY_NOT_SUPPORTED"],
    [`"${"x".repeat(1 << 20)}"`, "TOO_LARGE"],
  ] as const) {
    const answer = await client.ask(frame);
    assert.equal(answer.type, "error");
    assert.deepEqual([answer.data.code, answer.data.original_type], [code, type]);
    assert.ok(answer.data.message.length > 10);
  }
  assert.deepEqual(await client.drain(), []);
});

test("an upgrade that cannot be granted is accepted and closed with the reason", async () => {
  for (const [path, code] of [
    ["/chat/%20", "INVALID_ID"],
    [`/chat/${"x".repeat(129)}`, "INVALID_ID"],
    ["/rooms/1", "NOT_FOUND"],
    ["/chat/1/messages", "METHOD_NOT_ALLOWED"],
    ["/chat/1/messages/m-1", "METHOD_NOT_ALLOWED"],
  ]) {
    using client = new Client(worker.url(`/api/v1/ws${path}?token=${worker.token({})}`, "ws"));
    assert.equal((await client.next()).data.code, code);
    assert.deepEqual(await client.closed, { code: 1008, reason: code });
  }
});

test("a socket's route without an upgrade says so", async () => {
  const response = await fetch(worker.url(`/api/v1/ws/analysis/1?token=${worker.token({})}`));
  assert.equal(response.status, 426);
  assert.equal(((await response.json()) as { error: { code: string } }).error.code, "UPGRADE_REQUIRED");
});

test("a client's close is answered with its own code", async () => {
  for (const code of [1000, 1001, 4000]) {
    using client = await open("/chat/1");
    assert.equal((await client.close(code)).code, code);
  }
});
