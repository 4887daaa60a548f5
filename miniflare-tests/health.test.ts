// How the worker says how it is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

// biome-ignore lint/suspicious/noExplicitAny: the answer's shape is what is tested
async function health(query = "", token?: string): Promise<{ status: number; body: any }> {
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(worker.url(`/api/v1/ws/health${query}`), { headers });
  return { status: response.status, body: await response.json() };
}

test("anyone may ask how the worker is", async () => {
  const { status, body } = await health();
  assert.equal(status, 200);
  assert.equal(body.status, "healthy");
  assert.equal(typeof body.uptime, "number");
  assert.deepEqual([body.connections, body.subscriptions, body.scope], [null, null, null]);
});

test("a service may ask how busy a room is", async () => {
  const service = worker.token({ role: "service" });
  using client = await Client.open(worker.url(`/api/v1/ws?token=${worker.token({})}`, "ws"));
  using second = await Client.open(worker.url(`/api/v1/ws?token=${worker.token({})}`, "ws"));
  await client.ask({ type: "subscribe", data: { investigation_id: "1" } });
  const { body } = await health("?room=user:ana", service);
  assert.deepEqual([body.connections, body.subscriptions, body.scope], [2, 1, "user:ana"]);
  await second.close();
  assert.equal((await health("?room=user:ana", service)).body.connections, 1);
});

test("nobody else may, and the room must be one", async () => {
  assert.equal((await health("?room=user:ana")).status, 401);
  assert.equal((await health("?room=user:ana", worker.token({}))).status, 403);
  assert.equal((await health("?room=ana", worker.token({ role: "service" }))).body.error.code, "INVALID_ID");
});

test("paths and methods that do not exist are told apart", async () => {
  for (const [method, path, status, code] of [
    ["GET", "/", 404, "NOT_FOUND"],
    ["POST", "/api/v1/ws/health", 405, "METHOD_NOT_ALLOWED"],
    ["PUT", "/api/v1/ws/chat/1/messages", 405, "METHOD_NOT_ALLOWED"],
    ["POST", "/api/v1/ws/chat/%2e%20/messages", 400, "INVALID_ID"],
  ] as const) {
    const response = await fetch(worker.url(path), { method });
    assert.equal(response.status, status);
    assert.equal(((await response.json()) as { error: { code: string } }).error.code, code);
  }
});
