// Chats with an agent, over connections that break and a server that sleeps and restarts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Call, TestAgent } from "../../../../miniflare-tests/support/agent.ts";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import type { Answer, Chat } from "../../src/index.ts";
import { collect, connect, guest, Network, until } from "./support.ts";

let agent: TestAgent;
let worker: TestWorker;
let settings: Record<string, string>;
before(async () => {
  agent = await TestAgent.start();
  settings = { AGENT_URL: `${agent.url}/api/v1/chat/stream`, AGENT_TIMEOUT_MS: "1000" };
  worker = await TestWorker.start({ settings: { ...settings, AGENT_TIMEOUT_MS: "30000" } });
});
after(async () => {
  await worker[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

/** Asks, and returns the agent's side of it too. */
async function ask(chat: Chat, text = "Quanto custou a ponte?"): Promise<{ answer: Answer; call: Call }> {
  const answer = chat.send(text);
  return { answer, call: await agent.next() };
}

async function all(answer: Answer): Promise<string> {
  let text = "";
  for await (const piece of answer) text += piece;
  return text;
}

const shows = (answer: Answer, text: string) => until(text, () => answer.text === text);

/** The answer to somebody else that shows so much by now. */
async function watched(chat: Chat, text: string): Promise<Answer> {
  await until(text, () => chat.answers[0]?.text === text);
  return chat.answers[0] as Answer;
}

test("who sends knows the place of the message, and another client hears it", async () => {
  await using ana = connect(worker);
  await using bia = connect(worker, guest(worker, "bia"));
  const chat = ana.chat("echo");
  await chat.ready();
  const other = bia.chat("echo");
  await other.ready();
  const [own, theirs] = [collect(chat), collect(other)];
  const said = chat.send("Olá, ação!", { ask: false });
  assert.deepEqual(await said.sent, { seq: 1, duplicate: false });
  assert.equal((await said.done).status, "completed");
  await until("the message", () => theirs.length === 1);
  const { type, data, id, seq } = theirs[0] ?? {};
  assert.deepEqual(
    { type, data, id, seq },
    {
      type: "chat",
      data: { role: "user", content: "Olá, ação!", user_id: "ana" },
      id: said.id,
      seq: 1,
    },
  );
  other.send("Oi!", { ask: false });
  await until("the reply", () => own.length === 1);
  assert.deepEqual([own[0]?.seq, chat.cursor?.seq], [2, 2], "its own message did not come back, and counts as had");
});

test("an answer grows for who asked and for everybody else, with stage, agent and what belongs to its end", async () => {
  await using ana = connect(worker);
  await using bia = connect(worker, guest(worker, "bia"));
  const chat = ana.chat("stream");
  await chat.ready();
  const other = bia.chat("stream");
  await other.ready();
  const { answer, call } = await ask(chat);
  const pieces = all(answer);
  await call.event({ type: "agent_selected", agent_id: "zumbi", agent_name: "Zumbi", message: "Zumbi vai ver." });
  await until("the stage", () => answer.stage?.name === "agent_selected");
  assert.deepEqual(answer.agent, { id: "zumbi", name: "Zumbi" });
  await call.write("A ponte ");
  await shows(answer, "A ponte ");
  const theirs = await watched(other, "A ponte ");
  assert.deepEqual([theirs.isOwn, theirs.id], [false, answer.id]);
  await call.write("custou R$ 1,1 milhão.");
  await call.done({ suggested_actions: ["ver_contratos"] });
  const { status, text, data } = await answer.done;
  assert.deepEqual([status, text], ["completed", "A ponte custou R$ 1,1 milhão."]);
  assert.deepEqual(data.suggested_actions, ["ver_contratos"]);
  assert.deepEqual([await pieces, (await theirs.done).text], [text, text]);
  assert.deepEqual([chat.answers, other.answers], [[], []]);
});

test("an answer that grew while the connection was down is whole, and its loop has every piece once", async () => {
  const network = new Network(worker);
  await using client = connect(worker, { WebSocket: network.WebSocket });
  const chat = client.chat("dropped");
  await chat.ready();
  const { answer, call } = await ask(chat);
  const pieces = all(answer);
  await call.write("Era ");
  await shows(answer, "Era ");
  for (const word of ["uma ", "vez "]) {
    const before = answer.text;
    network.isDown = true;
    network.cut();
    await until("the break", () => chat.state.status === "waiting");
    await call.write(word);
    network.isDown = false;
    await shows(answer, before + word);
  }
  network.cut();
  await call.write("um rio.");
  await call.done();
  assert.equal((await answer.done).text, "Era uma vez um rio.");
  assert.equal(await pieces, "Era uma vez um rio.");
});

test("an answer that a sleeping room lost fails with what was said, and the next question is answered", async () => {
  await using other = await TestWorker.start({ settings });
  await using client = connect(other);
  const chat = client.chat("evicted");
  const { answer, call } = await ask(chat);
  await call.write("Era uma ");
  await shows(answer, "Era uma ");
  await other.evict("chat:evicted");
  await assert.rejects(answer.done, { code: "AGENT_TIMEOUT" });
  assert.deepEqual([answer.text, answer.status, chat.state.status], ["Era uma ", "failed", "connected"]);
  const next = await ask(chat);
  await next.call.write("Um rio.");
  await next.call.done();
  assert.equal((await next.answer.done).text, "Um rio.");
});

test("after a restart of the server the answer was interrupted, and the question behind it is answered", async () => {
  await using other = await TestWorker.start({ settings: { ...settings, AGENT_TIMEOUT_MS: "30000" } });
  const { WebSocket } = new Network(other);
  await using client = connect(other, { WebSocket, maxDelayMs: 500 });
  const chat = client.chat("restarted");
  const { answer, call } = await ask(chat);
  await call.write("Era uma ");
  await shows(answer, "Era uma ");
  const behind = chat.send("E depois?");
  await behind.sent;
  await other.restart();
  const { status, text } = await answer.done;
  assert.equal(status, "interrupted");
  assert.ok("Era uma ".startsWith(text), text);
  const next = await agent.next();
  assert.equal(next.body.message, "E depois?");
  await next.write("Fim.");
  await next.done();
  assert.equal((await behind.done).text, "Fim.");
});

test("a signal stops the answer at once, the agent with it, and everybody is told", async () => {
  await using ana = connect(worker);
  await using bia = connect(worker, guest(worker, "bia"));
  const chat = ana.chat("aborted");
  await chat.ready();
  const other = bia.chat("aborted");
  await other.ready();
  const controller = new AbortController();
  const answer = chat.send("Quanto?", { signal: controller.signal });
  const call = await agent.next();
  await call.write("Era uma");
  await shows(answer, "Era uma");
  const theirs = await watched(other, "Era uma");
  controller.abort();
  assert.deepEqual([answer.status, answer.text], ["cancelled", "Era uma"]);
  assert.equal(await call.closed, "aborted");
  assert.equal((await theirs.done).status, "cancelled");
});

test("who may not stop an answer is told so, and what was cancelled while away stops with the return", async () => {
  const network = new Network(worker);
  await using ana = connect(worker, { WebSocket: network.WebSocket });
  await using bia = connect(worker, guest(worker, "bia"));
  const chat = ana.chat("cancel");
  await chat.ready();
  const other = bia.chat("cancel");
  await other.ready();
  const codes: string[] = [];
  other.on("@error", ({ code }) => codes.push(code));
  const { answer, call } = await ask(chat);
  await call.write("Era uma");
  (await watched(other, "Era uma")).cancel();
  await until("the refusal", () => codes.length === 1);
  assert.deepEqual(codes, ["FORBIDDEN"]);
  network.isDown = true;
  network.cut();
  await until("the break", () => chat.state.status === "waiting");
  answer.cancel();
  network.isDown = false;
  assert.equal(await call.closed, "aborted");
});

test("questions are answered in their order, and those that are too many wait here", async () => {
  const network = new Network(worker);
  await using client = connect(worker, { WebSocket: network.WebSocket });
  const chat = client.chat("many");
  await chat.ready();
  const texts = Array.from({ length: 18 }, (_, n) => `Pergunta ${n}`);
  const answers = texts.map((text) => chat.send(text));
  await until("the refusal", () => network.has("TOO_MANY_QUESTIONS"));
  for (const text of texts) {
    const call = await agent.next();
    assert.equal(call.body.message, text);
    await call.write(`Resposta a ${text}`);
    await call.done();
  }
  const results = await Promise.all(answers.map(({ done }) => done));
  assert.deepEqual(
    results.map(({ text }) => text),
    texts.map((text) => `Resposta a ${text}`),
  );
});

test("without an agent the demonstration answers, and says how to get one", async () => {
  await using alone = await TestWorker.start();
  await using client = connect(alone);
  const answer = client.chat("demo").send("Quanto custou a ponte?");
  const pieces = all(answer);
  const { status, text } = await answer.done;
  assert.match(text, /AGENT_URL.*“Quanto custou a ponte\?”/);
  assert.deepEqual([status, answer.agent?.id, await pieces], ["completed", "demo", text]);
});
