// A URL need not hold a token: a ticket opens one socket, once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { mint } from "./support/token.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

async function buy(claims: Record<string, unknown> = {}): Promise<string> {
  const headers = { authorization: `Bearer ${worker.token(claims)}` };
  const response = await fetch(worker.url("/api/v1/ws/tickets"), { method: "POST", headers });
  assert.equal(response.status, 200);
  const { ticket, expires_in_ms } = (await response.json()) as { ticket: string; expires_in_ms: number };
  assert.equal(expires_in_ms, 30_000);
  return ticket;
}

const url = (path: string, ticket: string) => worker.url(`/api/v1/ws${path}?ticket=${ticket}`, "ws");

async function refused(path: string, ticket: string, code = "INVALID_TOKEN"): Promise<void> {
  using client = new Client(url(path, ticket));
  assert.equal((await client.next()).data.code, code);
  assert.deepEqual(await client.closed, { code: 1008, reason: code });
}

for (const path of ["", "/chat/1", "/investigations/1"]) {
  test(`a ticket opens one socket at ${path || "the general route"}, once`, async () => {
    const ticket = await buy({ sub: "ana.maria" });
    using client = await Client.open(url(path, ticket));
    assert.match(client.welcome?.type ?? "", /^connection/);
    await refused(path, ticket);
  });
}

test("a ticket speaks for its user, and opens what the token opened", async () => {
  using general = await Client.open(url("", await buy({ sub: "bea" })));
  assert.equal(general.welcome?.data.user_id, "bea");
  await refused("/chat/2", await buy({ rooms: ["chat:1"] }), "FORBIDDEN");
});

test("a ticket survives the sleep of its user's room", async () => {
  const ticket = await buy({ sub: "cai" });
  await worker.evict("user:cai");
  using _ = await Client.open(url("", ticket));
});

test("what is no ticket is refused like what is no token", async () => {
  const ticket = await buy();
  for (const bad of ["", "ana", "a.b.c", `${ticket.slice(0, -4)}AAAA`, worker.token({ jti: "1" })]) {
    await refused("", encodeURIComponent(bad));
  }
  using _ = await Client.open(url("", ticket));
});

test("a forged ticket wakes nobody", async () => {
  await refused("", `${(await buy({ sub: "dora" })).split(".").slice(0, 2).join(".")}.AAAA`);
  await refused("", mint({ sub: "nobody", type: "ticket", jti: "1" }, "another secret of at least 32 bytes"));
  await assert.rejects(worker.evict("user:nobody"), /not .*running/);
});

test("a ticket is given for a token only, and good for a socket only", async () => {
  const unknown = await fetch(worker.url("/api/v1/ws/tickets"), { method: "POST" });
  assert.equal(unknown.status, 401);
  const ticket = await buy();
  const plain = await fetch(worker.url(`/api/v1/ws/tickets?ticket=${ticket}`), { method: "POST" });
  assert.equal(plain.status, 401);
  using asked = new Client(worker.url(`/api/v1/ws/health?room=user:ana&ticket=${ticket}`, "ws"));
  assert.equal((await asked.next()).data.code, "INVALID_TOKEN");
  using _ = await Client.open(url("", ticket));
});
