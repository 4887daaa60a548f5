// What a room still has of what was published there, and what became of each message, over HTTP.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, type Frame } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
});
after(() => worker[Symbol.asyncDispose]());

interface History {
  room: string;
  epoch: string;
  first: number;
  seq: number;
  messages: Frame[];
  more: boolean;
}

async function get<T>(path: string, claims: Record<string, unknown> = {}): Promise<{ status: number; body: T }> {
  const headers = { authorization: `Bearer ${worker.token(claims)}` };
  const response = await fetch(worker.url(`/api/v1/ws${path}`), { headers });
  return { status: response.status, body: (await response.json()) as T };
}

async function history(path: string, query = "", claims: Record<string, unknown> = {}): Promise<History> {
  const { status, body } = await get<History>(`${path}/messages?${query}`, claims);
  assert.equal(status, 200, `${path} ${query} ${JSON.stringify(body)}`);
  return body;
}

const seqs = ({ messages }: History) => messages.map(({ seq }) => seq);

const numbers = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

const steps = (count: number) => Array.from({ length: count }, (_, n) => ({ type: "step", data: { n } }));

test("a room in which nothing was published has an epoch and no messages", async () => {
  const { epoch, ...rest } = await history("/chat/empty");
  assert.match(epoch, /^[0-9a-f]{16}$/);
  assert.deepEqual(rest, { room: "chat:empty", first: 1, seq: 0, messages: [], more: false });
});

test("the newest come without a place, the next since one, the last before one", async () => {
  await worker.publish("/chat/pages", steps(150));
  for (const [query, first, last, more] of [
    ["", 51, 150, true],
    ["limit=1000", 1, 150, false],
    ["limit=7", 144, 150, true],
    ["since=0&limit=10", 1, 10, true],
    ["since=140&limit=10", 141, 150, false],
    ["since=145", 146, 150, false],
    ["since=150", 151, 150, false],
    ["since=9007199254740991", 151, 150, false],
    ["before=11&limit=10", 1, 10, false],
    ["before=12&limit=10", 2, 11, true],
    ["before=1", 1, 0, false],
    ["before=0", 1, 0, false],
    ["before=9007199254740991&limit=1", 150, 150, true],
  ] as const) {
    const page = await history("/chat/pages", query);
    assert.deepEqual(seqs(page), numbers(first, last), query);
    assert.deepEqual([page.more, page.first, page.seq], [more, 1, 150], query);
  }
});

test("all of a log is read forwards and backwards, page by page, each message once", async () => {
  await worker.publish("/chat/walk", steps(95));
  const walk = async (next: (page: History) => string, query: string) => {
    const all: number[][] = [];
    for (let more = true; more; ) {
      const page = await history("/chat/walk", `${query}&limit=20`);
      all.push(seqs(page) as number[]);
      more = page.more;
      query = next(page);
    }
    return all;
  };
  const forwards = await walk((page) => `since=${page.messages.at(-1)?.seq}`, "since=0");
  assert.deepEqual(forwards.flat(), numbers(1, 95));
  const backwards = await walk((page) => `before=${page.messages[0]?.seq}`, "");
  assert.deepEqual(backwards.reverse().flat(), numbers(1, 95));
});

test("the messages are the frames that sockets got", async () => {
  using client = await Client.open(worker.url(`/api/v1/ws/chat/frames?token=${worker.token({})}`, "ws"));
  const message = { type: "anomaly_detected", data: { severity: "high", nota: "ação" }, id: "m-1" };
  await worker.publish("/chat/frames", message);
  const heard = await client.next();
  const { messages, epoch } = await history("/chat/frames");
  assert.deepEqual(messages, [heard]);
  assert.equal(epoch, client.welcome?.data.epoch);
});

test("an answer is bounded by what one frame may be, and says that there is more", async () => {
  const large = { type: "large", data: "x".repeat(400_000) };
  for (let n = 0; n < 5; n++) await worker.publish("/chat/large", large);
  const forwards = await history("/chat/large", "since=0&limit=1000");
  assert.deepEqual([seqs(forwards), forwards.more], [[1, 2], true]);
  const backwards = await history("/chat/large");
  assert.deepEqual([seqs(backwards), backwards.more], [[4, 5], true]);
});

test("what is ephemeral is not in the log", async () => {
  const { status } = await worker.publish("/chat/ephemeral", [{ type: "typing", ephemeral: true }, { type: "said" }]);
  assert.equal(status, 200);
  const { messages, seq } = await history("/chat/ephemeral");
  assert.deepEqual([messages.map(({ type }) => type), seq], [["said"], 1]);
});

test("a room's own user reads it, a service too; what is for everybody, everybody", async () => {
  await worker.publish("/users/ana", { type: "private" });
  await worker.publish("/system", { type: "public" });
  for (const claims of [
    { sub: "ana", rooms: [] },
    { sub: "backend", role: "service" },
  ]) {
    assert.equal((await history("/users/ana", "", claims)).messages[0]?.type, "private");
  }
  assert.equal((await history("/system", "", { sub: "bea", rooms: [] })).messages.at(-1)?.type, "public");
});

test("a room that slept has the same log", async () => {
  await worker.publish("/chat/slept", steps(3));
  const before = await history("/chat/slept");
  await worker.evict("chat:slept");
  assert.deepEqual(await history("/chat/slept"), before);
});

test("a message's recipients are counted, each once, and who confirmed among them", async () => {
  const path = "/chat/status";
  const service = { sub: "backend", role: "service" };
  const open = (sub: string, acks: boolean) =>
    Client.open(worker.url(`/api/v1/ws${path}?token=${worker.token({ sub })}&acks=${acks}`, "ws"));
  using ana = await open("ana", true);
  using bea = await open("bea", true);
  const gone = await open("cai", true);
  await gone.close();
  await worker.publish(path, { type: "news", id: "m-1" });
  for (const client of [ana, bea]) assert.equal((await client.next()).id, "m-1");
  ana.send({ type: "ack", data: { seq: 1 } });
  assert.deepEqual(await ana.drain(), []);
  const { status, body } = await get(`${path}/messages/m-1`, service);
  assert.deepEqual([status, body], [200, { id: "m-1", seq: 1, queued: 1, delivered: 1, confirmed: 1 }]);
});

test("of a message that nobody published nothing is known", async () => {
  const { status, body } = await get<{ error: { code: string } }>("/chat/status/messages/m-2", { role: "service" });
  assert.deepEqual([status, body.error.code], [404, "NOT_FOUND"]);
});
