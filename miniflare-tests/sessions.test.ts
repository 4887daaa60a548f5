// Chat sessions in the real runtime: whose they are, who is let in, and that deletion leaves nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

const SERVICE = { sub: "backend", role: "service" };
const ORIGIN = "https://cidadao.ai";

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  body: any;
}

type Claims = Record<string, unknown>;

async function ask(method: string, path: string, claims: Claims, body?: unknown, at = worker): Promise<Answer> {
  const headers = { authorization: `Bearer ${at.token(claims)}`, origin: ORIGIN };
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(at.url(`/api/v1/ws/chat/${path}`), { method, headers, body: text });
  assert.equal(response.headers.get("access-control-allow-origin"), ORIGIN, `${method} ${path}`);
  return { status: response.status, body: await response.json() };
}

const address = (path: string, claims: Claims, query = "", at = worker) =>
  at.url(`/api/v1/ws/chat/${path}?token=${at.token(claims)}&${query}`, "ws");

const open = (path: string, claims: Claims, query = "", at = worker) => Client.open(address(path, claims, query, at));

/** Opens a socket as soon as it is no longer refused: what was closed is released by a call from room to room. */
async function openSoon(path: string, claims: Claims): Promise<Client> {
  for (let tries = 0; ; tries++) {
    const client = new Client(address(path, claims));
    const { type, data } = await client.next();
    if (type === "connection") return client;
    assert.ok(data.code === "TOO_MANY_CONNECTIONS" && tries < 200, JSON.stringify(data));
    await pause(20);
  }
}

/** Waits until an investigation has no follower: a farewell is a call from room to room. */
async function nobodyFollows(investigation: string): Promise<void> {
  const path = `/investigations/${investigation}`;
  const headers = { authorization: `Bearer ${worker.token(SERVICE)}` };
  for (let tries = 0; ; tries++) {
    const { body } = await worker.publish(path, { type: "unheard" });
    const response = await fetch(worker.url(`/api/v1/ws${path}/messages/${body.messages[0].id}`), { headers });
    const { queued, delivered, confirmed } = (await response.json()) as Record<string, number>;
    if (queued === 0 && delivered === 0 && confirmed === 0) return;
    assert.ok(tries < 200, "it is still followed");
    await pause(20);
  }
}

async function turnedAway(path: string, claims: Claims, at = worker): Promise<void> {
  using client = new Client(address(path, claims, "", at));
  const { type, data } = await client.next();
  assert.deepEqual([type, data.code, data.retry], ["error", "FORBIDDEN", false], JSON.stringify(claims));
  assert.deepEqual(await client.closed, { code: 1008, reason: "FORBIDDEN" });
}

async function refused(answer: Promise<Answer>, status: number, code: string): Promise<void> {
  const { status: was, body } = await answer;
  assert.deepEqual([was, body.error?.code], [status, code], JSON.stringify(body));
}

const ana = { sub: "ana" };
const bia = { sub: "bia" };

test("of many who come at once one owns the session, and the others are refused and counted no more", async () => {
  const subs = Array.from({ length: 6 }, (_, n) => ({ sub: `racer-${n}` }));
  const clients = subs.map((claims) => new Client(address("race", claims)));
  const frames = await Promise.all(clients.map((client) => client.next()));
  const welcomed = frames.filter(({ type }) => type === "connection");
  assert.equal(welcomed.length, 1, JSON.stringify(frames));
  assert.ok(frames.every(({ type, data }) => type === "connection" || data.code === "FORBIDDEN"));
  const { body } = await ask("GET", "race", SERVICE);
  const winner = frames.findIndex(({ type }) => type === "connection");
  assert.equal(body.owner, `racer-${winner}`);
  assert.deepEqual(
    body.participants.map(({ user_id, present }: { user_id: string; present: boolean }) => [user_id, present]),
    [[`racer-${winner}`, true]],
  );
  for (const client of clients) client[Symbol.dispose]();
  for (let n = 0; n < 11; n++) await turnedAway("race", subs[winner === 0 ? 1 : 0] as Claims);
});

test("a stranger is refused everything, before and after the room's sleep", async () => {
  using owner = await open("private", ana);
  await worker.publish("/chat/private", { type: "said" });
  assert.equal((await owner.next()).type, "said");
  for (const sleeps of [false, true]) {
    if (sleeps) await worker.evict("chat:private");
    await turnedAway("private", bia);
    await turnedAway("private", { ...bia, rooms: ["chat:other", "investigation:*"] });
    await refused(ask("GET", "private", bia), 403, "FORBIDDEN");
    await refused(ask("GET", "private/messages", bia), 403, "FORBIDDEN");
    await refused(ask("GET", "private/messages/m-1", bia), 403, "FORBIDDEN");
    await refused(ask("PATCH", "private", bia, { title: "Minha" }), 403, "FORBIDDEN");
    await refused(ask("PUT", "private/participants/bia", bia), 403, "FORBIDDEN");
    await refused(ask("DELETE", "private/participants/ana", bia), 403, "FORBIDDEN");
    await refused(ask("DELETE", "private", bia), 403, "FORBIDDEN");
  }
  assert.equal((await ask("GET", "private/messages", ana)).body.messages.length, 1);
  assert.equal((await owner.drain()).length, 0);
});

test("who is granted, invited or a service comes in", async () => {
  using _owner = await open("shared", ana);
  assert.deepEqual((await ask("PUT", "shared/participants/bia", ana)).body, { user_id: "bia", participant: true });
  await worker.evict("chat:shared");
  for (const claims of [bia, { sub: "caio", rooms: ["chat:shared"] }, { sub: "caio", rooms: ["chat:*"] }, SERVICE]) {
    using client = await open("shared", claims);
    assert.equal(client.welcome?.data.room, "chat:shared");
    assert.equal((await ask("GET", "shared", claims)).body.owner, "ana");
    assert.equal((await ask("GET", "shared/messages", claims)).status, 200);
  }
  await turnedAway("shared", { sub: "caio" });
});

test("who is dismissed is out, and the others stay", async () => {
  using owner = await open("dismissal", ana);
  await ask("PUT", "dismissal/participants/bia", SERVICE);
  using guest = await open("dismissal", bia);
  const { body } = await ask("DELETE", "dismissal/participants/bia", ana);
  assert.deepEqual(body, { user_id: "bia", participant: false });
  assert.equal((await guest.next()).data.code, "DISCONNECTED");
  assert.deepEqual(await guest.closed, { code: 4003, reason: "DISCONNECTED" });
  await turnedAway("dismissal", bia);
  await refused(ask("DELETE", "dismissal/participants/ana", SERVICE), 403, "FORBIDDEN");
  assert.deepEqual(await owner.drain(), []);
});

test("a grant that a refresh loses is the end of the connection", async () => {
  using _owner = await open("refreshed", ana);
  const granted = { ...bia, rooms: ["chat:refreshed"] };
  using client = await open("refreshed", granted);
  const refresh = (claims: Claims) => client.ask({ type: "refresh", data: { token: worker.token(claims) } });
  assert.equal((await refresh(granted)).type, "refreshed");
  assert.equal((await refresh(bia)).data.code, "FORBIDDEN");
  assert.deepEqual(await client.closed, { code: 1008, reason: "FORBIDDEN" });
});

test("a session that nobody has opened is not there, and to ask for it makes nobody its owner", async () => {
  for (const claims of [bia, SERVICE]) {
    await refused(ask("GET", "unopened", claims), 404, "NOT_FOUND");
    await refused(ask("PATCH", "unopened", claims, { title: "Nada" }), 404, "NOT_FOUND");
  }
  await refused(ask("PUT", "unopened/participants/bia", bia), 404, "NOT_FOUND");
  assert.equal((await ask("GET", "unopened/messages", bia)).body.seq, 0);
  using _owner = await open("unopened", ana);
  assert.equal((await ask("GET", "unopened", ana)).body.owner, "ana");
});

test("a session says what is known of it, through sleep", async () => {
  const created = Date.now();
  using client = await open("known", ana);
  const { body: early } = await ask("GET", "known", ana);
  assert.equal(early.last_activity_at, early.created_at);
  await worker.publish("/chat/known", [{ type: "a" }, { type: "b" }]);
  const { body: session } = await ask("GET", "known", ana);
  const { created_at, last_activity_at, participants, ...rest } = session;
  assert.deepEqual(rest, {
    session_id: "known",
    room: "chat:known",
    title: null,
    owner: "ana",
    epoch: client.welcome?.data.epoch,
    seq: 2,
    answering: [],
  });
  assert.ok(created <= Date.parse(created_at) && created_at <= last_activity_at);
  assert.deepEqual(participants, [{ user_id: "ana", since: created_at, present: true }]);
  await worker.evict("chat:known");
  assert.deepEqual((await ask("GET", "known", ana)).body, session);
});

test("a title is given by the owner or a service, and the room hears of it", async () => {
  using client = await open("titled", ana);
  for (const [claims, title, kept] of [
    [ana, "  Contrato\n42 ", "Contrato 42"],
    [SERVICE, "ç".repeat(200), "ç".repeat(200)],
  ] as const) {
    const { status, body } = await ask("PATCH", "titled", claims, { title });
    assert.deepEqual([status, body.title, body.owner], [200, kept, "ana"]);
    const { type, data, room, seq } = await client.next();
    assert.deepEqual(
      [type, data, room, seq],
      ["session_updated", { session_id: "titled", title: kept }, "chat:titled", undefined],
    );
  }
  for (const [body, status, code] of [
    ["", 400, "INVALID_JSON"],
    ["{", 400, "INVALID_JSON"],
    [{}, 400, "INVALID_MESSAGE"],
    [{ title: "" }, 400, "INVALID_MESSAGE"],
    [{ title: "ç".repeat(201) }, 400, "INVALID_MESSAGE"],
    [{ title: "a", owner: "bia" }, 400, "INVALID_MESSAGE"],
    [{ title: "x".repeat(2 << 20) }, 413, "TOO_LARGE"],
  ] as const) {
    await refused(ask("PATCH", "titled", ana, body), status, code);
  }
  assert.deepEqual(await client.drain(), []);
});

test("a deleted session leaves nothing but a cursor that is not recovered", async () => {
  const elsewhere = "of-the-chat";
  using client = await open("deleted", ana);
  const { epoch } = client.welcome?.data ?? {};
  await client.ask({ type: "subscribe", data: { investigation_id: elsewhere } });
  await ask("PUT", "deleted/participants/bia", ana);
  using guest = await open("deleted", bia);
  const messages = Array.from({ length: 600 }, (_, n) => ({ type: "said", id: `m-${n}` }));
  await worker.publish("/chat/deleted", messages);
  await Promise.all([client.messages(600), guest.messages(600)]);

  const deleted = await ask("DELETE", "deleted", ana);
  assert.deepEqual([deleted.status, deleted.body], [200, { deleted: true }]);
  for (const each of [client, guest]) {
    const { type, data } = await each.next();
    assert.deepEqual([type, data.code, data.retry], ["error", "SESSION_DELETED", false]);
    assert.deepEqual(await each.closed, { code: 4003, reason: "SESSION_DELETED" });
  }
  for (const again of [false, true, true]) {
    if (again) assert.deepEqual((await ask("DELETE", "deleted", ana)).body, { deleted: true });
    await refused(ask("GET", "deleted", ana), 404, "NOT_FOUND");
  }
  await refused(ask("GET", "deleted/messages/m-1", SERVICE), 404, "NOT_FOUND");
  await nobodyFollows(elsewhere);

  using back = await open("deleted", bia, `epoch=${epoch}&since=600`);
  const { epoch: anew, seq, recovered } = back.welcome?.data ?? {};
  assert.deepEqual([seq, recovered], [0, false]);
  assert.notEqual(anew, epoch);
  assert.equal((await ask("GET", "deleted", SERVICE)).body.owner, "bia");
  const { body } = await worker.publish("/chat/deleted", { type: "said", id: "m-1" });
  assert.deepEqual(body.messages, [{ id: "m-1", seq: 1 }], "an id of before is a new one");
  assert.equal((await back.next()).seq, 1);
  await turnedAway("deleted", ana);
});

test("the sockets of deleted sessions are counted no more", async () => {
  const eva = { sub: "eva" };
  const clients: Client[] = [];
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 8; n++) clients.push(await openSoon("counted", eva));
    await ask("DELETE", "counted", eva);
  }
  for (const client of clients) client[Symbol.dispose]();
});

test("a room that was deleted falls asleep and is woken like any other", async () => {
  using first = await open("woken", ana);
  await worker.publish("/chat/woken", { type: "said" });
  await ask("DELETE", "woken", ana);
  assert.deepEqual(
    (await first.messages(2)).map(({ type }) => type),
    ["said", "error"],
  );
  await worker.evict("chat:woken");
  await refused(ask("GET", "woken", ana), 404, "NOT_FOUND");
  using client = await open("woken", ana);
  await worker.evict("chat:woken");
  await worker.publish("/chat/woken", { type: "again" });
  const { type, seq } = await client.next();
  assert.deepEqual([type, seq], ["again", 1]);
});

test("owner, invitations and deletions outlive the worker", async () => {
  await using own = await TestWorker.start();
  for (const path of ["kept", "gone"]) {
    using _owner = await open(path, ana, "", own);
    await ask("PATCH", path, ana, { title: path }, own);
    await ask("PUT", `${path}/participants/bia`, ana, undefined, own);
    await own.publish(`/chat/${path}`, { type: "said" });
  }
  const { body: kept } = await ask("GET", "kept", bia, undefined, own);
  await ask("DELETE", "gone", ana, undefined, own);
  await own.restart();
  const { participants, ...session } = (await ask("GET", "kept", bia, undefined, own)).body;
  assert.deepEqual({ ...session, participants: participants.length }, { ...kept, participants: 2 });
  await turnedAway("kept", { sub: "caio" }, own);
  await refused(ask("GET", "gone", ana, undefined, own), 404, "NOT_FOUND");
  using _new = await open("gone", { sub: "caio" }, "", own);
  assert.equal((await ask("GET", "gone", SERVICE, undefined, own)).body.owner, "caio");
});

test("where chats are open everybody comes in, and the first owns the session all the same", async () => {
  await using everybody = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
  using _owner = await open("1", ana, "", everybody);
  using _other = await open("1", bia, "", everybody);
  assert.equal((await ask("GET", "1", { sub: "caio" }, undefined, everybody)).body.owner, "ana");
  await refused(ask("DELETE", "1", bia, undefined, everybody), 403, "FORBIDDEN");
});

test("an access that there is none of is said in health, and the owner's holds", async () => {
  await using unsure = await TestWorker.start({ settings: { CHAT_ACCESS: "public" } });
  const health = await fetch(unsure.url("/api/v1/ws/health"));
  const { problems } = (await health.json()) as { problems: string[] };
  assert.deepEqual([health.status, problems], [503, ['CHAT_ACCESS must be owner or open, not "public": owner holds']]);
  using _owner = await open("1", ana, "", unsure);
  await turnedAway("1", bia, unsure);
});

for (const [path, methods] of [
  ["s", "GET, PATCH, DELETE"],
  ["s/participants/bia", "PUT, DELETE"],
] as const) {
  test(`a page may send ${methods} to ${path}`, async () => {
    const url = worker.url(`/api/v1/ws/chat/${path}`);
    const headers = { origin: ORIGIN, "access-control-request-method": methods.split(", ").at(-1) as string };
    const preflight = await fetch(url, { method: "OPTIONS", headers });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), ORIGIN);
    assert.equal(preflight.headers.get("access-control-allow-methods"), methods);
    const wrong = await fetch(url, { method: "POST", headers });
    assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, `${methods}, OPTIONS`]);
  });
}

test("nobody asks without a token, nor of a session that cannot be", async () => {
  for (const [method, path] of [
    ["GET", "s"],
    ["PATCH", "s"],
    ["DELETE", "s"],
    ["PUT", "s/participants/bia"],
    ["DELETE", "s/participants/bia"],
  ] as const) {
    const response = await fetch(worker.url(`/api/v1/ws/chat/${path}`), { method });
    assert.equal(response.status, 401, `${method} ${path}`);
    await refused(ask(method, path, { ...ana, rooms: ["chat:other"] }), 403, "FORBIDDEN");
    await refused(ask(method, path.replace("s", "%20"), ana), 400, "INVALID_ID");
  }
  await refused(ask("PUT", "s/participants/%20", SERVICE), 400, "INVALID_ID");
});
