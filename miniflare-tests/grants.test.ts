// What a token opens that names its rooms.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import type { Claims } from "./support/token.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
let strict: TestWorker;
before(async () => {
  worker = await TestWorker.start();
  strict = await TestWorker.start({ settings: { REQUIRE_ROOM_GRANTS: "true" } });
});
after(() => Promise.all([worker, strict].map((each) => each[Symbol.asyncDispose]())));

const subscribe = (id: string) => ({ type: "subscribe", data: { investigation_id: id } });
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

function open(path: string, claims: Claims, at = worker): Promise<Client> {
  return Client.open(at.url(`/api/v1/ws${path}`, "ws"), [], bearer(at.token(claims)));
}

/** Asserts that a path is closed, to sockets and over HTTP. */
async function refused(path: string, claims: Claims, code: string, status: number, at = worker): Promise<void> {
  const options = bearer(at.token(claims));
  using client = new Client(at.url(`/api/v1/ws${path}`, "ws"), [], options);
  const { type, data } = await client.next();
  assert.deepEqual([type, data.code, data.retry], ["error", code, false], path);
  assert.deepEqual(await client.closed, { code: 1008, reason: code });
  const response = await fetch(at.url(`/api/v1/ws${path}`), options);
  assert.equal(response.status, status);
  assert.deepEqual(await response.json(), { error: data });
}

/** The HTTP status of a health request for a room. */
async function health(room: string, claims: Claims, at = worker): Promise<number> {
  return (await fetch(at.url(`/api/v1/ws/health?room=${room}`), bearer(at.token(claims)))).status;
}

test("rooms that are named open, others are forbidden, the user's own is always open", async () => {
  const claims = { rooms: ["investigation:1", "chat:*"] };
  for (const path of ["/investigations/1", "/chat/a", "/chat/b", ""]) (await open(path, claims))[Symbol.dispose]();
  for (const path of ["/investigations/2", "/investigations/11", "/analysis/1"]) {
    await refused(path, claims, "FORBIDDEN", 403);
  }
});

test("a claim that is malformed makes a bad token", async () => {
  for (const rooms of [null, "chat:1", [1], ["rooms:1"], ["chat:"], ["*"], Array(65).fill("chat:*")]) {
    for (const path of ["", "/chat/1"]) await refused(path, { rooms }, "INVALID_TOKEN", 401);
  }
});

for (const path of ["", "/chat/s"]) {
  test(`${path || "the general connection"} subscribes to what is granted, before and after its sleep`, async () => {
    using client = await open(path, { sub: "eva", rooms: ["investigation:yes", "chat:s"] });
    for (const room of [undefined, path ? "chat:s" : "user:eva"]) {
      if (room) await worker.evict(room);
      const { type, data } = await client.ask(subscribe("no"));
      assert.deepEqual([type, data.code, data.original_type], ["error", "FORBIDDEN", "subscribe"]);
      assert.equal((await client.ask(subscribe("yes"))).type, "subscribed");
    }
    await worker.publish("/investigations/no", { type: "a" });
    await worker.publish("/investigations/yes", { type: "b" });
    assert.equal((await client.next()).room, "investigation:yes");
    assert.deepEqual(await client.drain(), []);
  });
}

test("as many grants as a token can carry outlast a sleep", async () => {
  const rooms = Array.from({ length: 64 }, (_, n) => `investigation:${String(n).padStart(76, "0")}`);
  using client = await open("", { sub: "gil", rooms });
  await worker.evict("user:gil");
  const last = rooms[63]?.split(":")[1] ?? "";
  assert.equal((await client.ask(subscribe(last))).type, "subscribed");
  assert.equal((await client.ask(subscribe("1"))).data.code, "FORBIDDEN");
});

test("a service that names rooms publishes and counts there alone", async () => {
  const claims = { role: "service", sub: "agent", rooms: ["investigation:1", "user:*"] };
  const token = worker.token(claims);
  for (const [path, room, status] of [
    ["/investigations/1", "investigation:1", 200],
    ["/users/ana", "user:ana", 200],
    ["/investigations/2", "investigation:2", 403],
    ["/chat/1", "chat:1", 403],
    ["/system", "system:all", 403],
  ] as const) {
    const published = await worker.publish(path, { type: "a" }, token);
    assert.equal(published.status, status, path);
    if (status === 403) assert.equal(published.body.error.code, "FORBIDDEN");
    assert.equal(await health(room, claims), status, room);
  }
});

test("services publish for everybody, and nobody opens that room", async () => {
  for (const rooms of [undefined, ["system:all"], ["system:*"]]) {
    const { status, body } = await worker.publish(
      "/system",
      { id: "same", type: "maintenance" },
      worker.token({ role: "service", rooms }),
    );
    assert.deepEqual([status, body.messages[0].id, body.messages[0].seq], [200, "same", 1]);
  }
  const user = worker.token({ rooms: ["system:*"] });
  assert.equal((await worker.publish("/system", { type: "a" }, user)).status, 403);
  await refused("/system", { rooms: ["system:*"] }, "NOT_FOUND", 404);
  await refused("/system/all", { rooms: ["system:*"] }, "NOT_FOUND", 404);
  using client = new Client(worker.url("/api/v1/ws/system/messages", "ws"), [], bearer(worker.token({})));
  assert.equal((await client.next()).data.code, "METHOD_NOT_ALLOWED");
});

test("where grants are required, a token without them opens its user's room alone", async () => {
  using client = await open("", {}, strict);
  assert.equal((await client.ask(subscribe("1"))).data.code, "FORBIDDEN");
  await refused("/chat/1", {}, "FORBIDDEN", 403, strict);
  const service = { role: "service" };
  assert.equal((await strict.publish("/chat/1", { type: "a" })).status, 403);
  assert.equal(await health("chat:1", service, strict), 403);
  assert.equal((await fetch(strict.url("/api/v1/ws/health"))).status, 200);

  const rooms = ["investigation:1"];
  using granted = await open("", { sub: "bea", rooms }, strict);
  assert.equal((await granted.ask(subscribe("1"))).type, "subscribed");
  const published = await strict.publish("/investigations/1", { type: "a" }, strict.token({ ...service, rooms }));
  assert.equal(published.status, 200);
  assert.equal((await granted.next()).room, "investigation:1");
});

test("a setting that is neither true nor false requires grants, and log and health say so", async () => {
  await using unsure = await TestWorker.start({ settings: { REQUIRE_ROOM_GRANTS: "yes" } });
  await refused("/chat/1", {}, "FORBIDDEN", 403, unsure);
  const response = await fetch(unsure.url("/api/v1/ws/health"));
  assert.equal(response.status, 503);
  const { problems } = (await response.json()) as { problems: [string] };
  assert.deepEqual(problems, ['REQUIRE_ROOM_GRANTS must be true or false, not "yes": true holds']);
  assert.ok(unsure.log.some((line) => line.includes(problems[0])));
});
