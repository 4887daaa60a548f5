// What is said arrives once and in order, whatever breaks, and what may not be said is told.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestAgent } from "../../../../miniflare-tests/support/agent.ts";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import type { Chat, RealtimeError } from "../../src/index.ts";
import { collect, connect, guest, Network, until } from "./support.ts";

let agent: TestAgent;
let worker: TestWorker;
before(async () => {
  agent = await TestAgent.start(async (call) => {
    await call.write(`Resposta a ${call.body.message}`);
    await call.done();
  });
  worker = await TestWorker.start({ settings: { AGENT_URL: `${agent.url}/api/v1/chat/stream` } });
});
after(async () => {
  await worker[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

const QUIET = { ask: false };
const words = ["um", "dois", "três", "quatro", "cinco"];

interface Kept {
  type: string;
  id: string;
  data: { content: string };
}

/** The messages that a chat keeps. */
async function history(session: string): Promise<Kept[]> {
  const headers = { authorization: `Bearer ${worker.token({})}` };
  const response = await fetch(worker.url(`/api/v1/ws/chat/${session}/messages?limit=100`), { headers });
  return ((await response.json()) as { messages: Kept[] }).messages;
}

const said = async (session: string) => (await history(session)).map(({ data }) => data.content);
const isAck = (text: string) => text.startsWith('{"type":"ack"');

async function stops(chat: Chat): Promise<RealtimeError> {
  await until("the end", () => chat.state.status === "stopped");
  assert.ok(chat.state.status === "stopped");
  return chat.state.reason;
}

test("what was said offline arrives once and in order after the return", async () => {
  const network = new Network(worker);
  await using ana = connect(worker, { WebSocket: network.WebSocket });
  const chat = ana.chat("offline");
  await chat.ready();
  await using bia = connect(worker, guest(worker, "bia"));
  const other = bia.chat("offline");
  const heard = collect(other);
  await other.ready();
  network.isDown = true;
  network.cut();
  await until("the break", () => chat.state.status === "waiting");
  const sent = words.map((word) => chat.send(word, QUIET).sent);
  network.isDown = false;
  assert.deepEqual(
    (await Promise.all(sent)).map(({ seq }) => seq),
    [1, 2, 3, 4, 5],
  );
  await until("all", () => heard.length === 5);
  assert.deepEqual(await said("offline"), words);
});

test("what arrived, and whose ack was lost, is confirmed after the return and not said again", async () => {
  const network = new Network(worker);
  await using ana = connect(worker, { WebSocket: network.WebSocket, maxDelayMs: 500 });
  const chat = ana.chat("lost-ack");
  const own = collect(chat);
  await chat.ready();
  network.loses = isAck;
  const sent = words.map((word) => chat.send(word, QUIET).sent);
  for (let lost = 1; lost <= words.length; lost += 1) {
    await until("a lost ack", () => network.frames.filter(isAck).length >= lost);
    if (lost === words.length) network.loses = () => false;
    network.cut();
  }
  assert.deepEqual(
    (await Promise.all(sent)).map(({ seq }) => seq),
    [1, 2, 3, 4, 5],
  );
  assert.deepEqual([await said("lost-ack"), own], [words, []]);
});

test("a question whose ack was lost is asked once, and answered", async () => {
  const network = new Network(worker);
  await using ana = connect(worker, { WebSocket: network.WebSocket });
  const chat = ana.chat("lost-question");
  await chat.ready();
  network.loses = (text) => isAck(text) || text.includes('"reply_to"');
  const answer = chat.send("Quanto?");
  await agent.next();
  await until("the answer, which is lost", () => network.has("chat_complete"));
  network.loses = () => false;
  network.cut();
  assert.equal((await answer.done).text, "Resposta a Quanto?");
  assert.equal(agent.waiting, 0);
});

test("the same id is the same question: from another client it is answered out of the log", async () => {
  await using first = connect(worker);
  const answer = first.chat("twice").send("Quanto?", { id: "q-1" });
  assert.deepEqual([(await answer.sent).duplicate, (await answer.done).text], [false, "Resposta a Quanto?"]);
  await agent.next();
  await using second = connect(worker, { device: "phone" });
  const again = second.chat("twice").send("Quanto?", { id: "q-1" });
  assert.deepEqual(await again.sent, { seq: 1, duplicate: true });
  assert.equal((await again.done).text, "Resposta a Quanto?");
  assert.equal(agent.waiting, 0);
  await using bia = connect(worker, guest(worker, "bia"));
  await assert.rejects(bia.chat("twice").send("Quanto?", { id: "q-1" }).sent, { code: "ID_TAKEN" });
});

test("what is too long, or nothing, is refused, and what comes after it is said", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("large");
  const [long, empty, context] = [
    chat.send("é".repeat(1_001)),
    chat.send(" \n"),
    chat.send("Quanto?", { context: "x".repeat(70_000) }),
  ];
  const whole = chat.send("é".repeat(1_000), QUIET);
  await assert.rejects(long.sent, { code: "TOO_LARGE" });
  await assert.rejects(long.done, { code: "TOO_LARGE" });
  await assert.rejects(empty.done, { code: "INVALID_FRAME" });
  await assert.rejects(context.done, { code: "TOO_LARGE" });
  assert.equal((await whole.sent).seq, 1);
});

test("somebody else's session is closed to others, and what they said there fails", async () => {
  await using ana = connect(worker);
  await ana.chat("private").ready();
  await using bia = connect(worker, { getToken: () => worker.token({ sub: "bia" }) });
  const chat = bia.chat("private");
  const answer = chat.send("Quanto?");
  await assert.rejects(chat.ready(), { code: "FORBIDDEN" });
  await assert.rejects(answer.done, { code: "FORBIDDEN" });
  assert.equal((await stops(chat)).code, "FORBIDDEN");
  const headers = { authorization: `Bearer ${worker.token({ sub: "ana" })}` };
  await fetch(worker.url("/api/v1/ws/chat/private/participants/bia"), { method: "PUT", headers });
  await chat.ready();
  assert.equal((await chat.send("Agora sim.", QUIET).sent).seq, 1);
});

test("a server with open chats lets everybody in", async () => {
  await using open = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
  await using ana = connect(open);
  await using bia = connect(open, { getToken: () => open.token({ sub: "bia" }) });
  const [one, two] = [ana.chat("agora"), bia.chat("agora")];
  const heard = collect(two);
  await Promise.all([one.ready(), two.ready()]);
  one.send("Olá", QUIET);
  await until("it", () => heard.length === 1);
});

test("a session that was deleted stops its chat for good, with all that waits, and leaves the client alone", async () => {
  const network = new Network(worker);
  await using ana = connect(worker, { WebSocket: network.WebSocket });
  const room = ana.investigation("stays");
  const chat = ana.chat("deleted");
  await Promise.all([room.ready, chat.ready()]);
  const loop = (async () => {
    for await (const _ of chat) assert.fail("nothing is said there");
  })();
  const ended = assert.rejects(loop, { code: "SESSION_DELETED" });
  const headers = { authorization: `Bearer ${worker.token({ sub: "ana" })}` };
  await fetch(worker.url("/api/v1/ws/chat/deleted"), { method: "DELETE", headers });
  const { code, retry } = await stops(chat);
  assert.deepEqual([code, retry], ["SESSION_DELETED", false]);
  await ended;
  const { dials } = network;
  // Longer than the time in which it would come back.
  await sleep(2_500);
  assert.deepEqual([network.dials, chat.state.status, ana.state.status], [dials, "stopped", "connected"]);
});
