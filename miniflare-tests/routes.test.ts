// What a path takes, and what is said to who asks it wrongly.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

function ask(path: string, method = "GET", claims: Record<string, unknown> = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${worker.token(claims)}`, origin: "https://cidadao.ai" };
  return fetch(worker.url(`/api/v1/ws${path}`), { method, headers });
}

const code = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;

for (const [path, methods] of [
  ["/health", "GET"],
  ["/analysis/1", "GET"],
  ["/tickets", "POST"],
  ["/users/ana/disconnect", "POST"],
  ["/chat/1/messages", "GET, POST"],
  ["/users/ana/messages", "GET, POST"],
  ["/system/messages", "GET, POST"],
  ["/chat/1/messages/m-1", "GET"],
  ["/system/messages/m-1", "GET"],
] as const) {
  test(`${path} takes ${methods} and says so`, async () => {
    for (const method of ["PUT", "DELETE", "PATCH"]) {
      const response = await ask(path, method);
      assert.deepEqual([response.status, response.headers.get("allow")], [405, `${methods}, OPTIONS`], method);
      assert.equal(await code(response), "METHOD_NOT_ALLOWED");
    }
    const preflight = await ask(path, "OPTIONS");
    assert.deepEqual([preflight.status, preflight.headers.get("access-control-allow-methods")], [204, methods]);
  });
}

test("no other refusal names methods", async () => {
  for (const path of ["/nowhere", "/chat/%20/messages", "/chat/1/messages?limit=0", "/users/bea/messages"]) {
    assert.equal((await ask(path)).headers.get("allow"), null, path);
  }
});

test("who has too many tickets hears when to come back, in the answer and its header", async () => {
  const last = async () => {
    for (;;) {
      const response = await ask("/tickets", "POST", { sub: "collector" });
      if (response.status !== 200) return response;
    }
  };
  const response = await last();
  assert.deepEqual([response.status, response.headers.get("retry-after")], [429, "30"]);
  const { error } = (await response.json()) as { error: { code: string; retry_after_ms: number } };
  assert.deepEqual([error.code, error.retry_after_ms], ["RATE_LIMIT", 30_000]);
});

test("a place in a log that is none is refused", async () => {
  for (const query of [
    "since=1&before=2",
    "since=x",
    "since=",
    "before=-1",
    "limit=0",
    "limit=1001",
    `since=${2 ** 53}`,
  ]) {
    const response = await ask(`/chat/1/messages?${query}`);
    assert.deepEqual([response.status, await code(response)], [400, "INVALID_CURSOR"], query);
  }
});

test("a socket that does not say well where it was or who it is hears why", async () => {
  const epoch = "00000000000000ab";
  for (const [query, refused] of [
    ["since=1", "INVALID_CURSOR"],
    [`epoch=${epoch}`, "INVALID_CURSOR"],
    [`epoch=${epoch}&since=x`, "INVALID_CURSOR"],
    ["epoch=now&since=1", "INVALID_CURSOR"],
    ["device=a%20b", "INVALID_ID"],
  ]) {
    for (const path of ["", "/chat/1"]) {
      using client = new Client(worker.url(`/api/v1/ws${path}?token=${worker.token({})}&${query}`, "ws"));
      const { type, data } = await client.next();
      assert.deepEqual([type, data.code, data.retry], ["error", refused, false], query);
      assert.deepEqual(await client.closed, { code: 1008, reason: refused });
    }
  }
});

test("what was published, and what became of it, is for who may know", async () => {
  const service = { role: "service" };
  for (const [path, claims, status] of [
    ["/users/bea/messages", {}, 403],
    ["/chat/1/messages", { rooms: ["chat:2"] }, 403],
    ["/users/ana/messages", { ...service, sub: "backend", rooms: ["chat:*"] }, 403],
    ["/chat/1/messages/m-1", {}, 403],
    ["/chat/1/messages/m-1", { ...service, rooms: ["chat:2"] }, 403],
  ] as const) {
    assert.equal((await ask(path, "GET", claims)).status, status, path);
  }
  for (const path of ["/chat/1/messages", "/system/messages", "/chat/1/messages/m-1"]) {
    assert.equal((await fetch(worker.url(`/api/v1/ws${path}`))).status, 401, path);
  }
});
