// An answer as it grows: what each client shows is a beginning of what the agent has said, at every moment, whenever it
// came and however often; and all of it at the end, whatever happens to the room.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type Call, TestAgent } from "./support/agent.ts";
import { Guest, history, OPEN } from "./support/chat.ts";
import { Runtime } from "./support/runtime.ts";
import { TestWorker } from "./support/worker.ts";

const TEXT = "A ação custou R$ 1.234,56 🇧🇷, “conforme o contrato”. ".repeat(20);

let agent: TestAgent;
let worker: TestWorker;
let settings: Record<string, string>;
before(async () => {
  agent = await TestAgent.start();
  settings = { ...OPEN, AGENT_URL: `${agent.url}/api/v1/chat/stream` };
  worker = await TestWorker.start({ settings, faults: true });
});
after(async () => {
  await worker[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

const join = (path: string, sub: string, protocols?: string[]) => Guest.join(worker, path, sub, undefined, protocols);

/** Asks in a chat, and returns the agent's side of it. */
async function ask(guest: Guest): Promise<Call> {
  await guest.say("Quanto?", "q-1");
  return agent.next();
}

/** Says a text in parts of some characters, in pieces of some bytes. */
async function tell(call: Call, text: string, bytes = 11): Promise<void> {
  call.pace = { bytes, pauseMs: 1 };
  const characters = [...text];
  while (characters.length > 0) await call.write(characters.splice(0, 13).join(""));
}

test("everybody who is there sees the answer grow, with batches and without", async () => {
  using ana = await join("/chat/grow", "ana");
  using bia = await join("/chat/grow", "bia");
  using cai = await join("/chat/grow", "cai", []);
  const call = await ask(ana);
  const all = [ana, bia, cai].map((guest) => guest.follows(TEXT));
  await tell(call, TEXT);
  await call.done();
  await Promise.all(all);
});

test("who comes in the middle sees all so far at once, after what it missed, and then the rest", async () => {
  using ana = await join("/chat/middle", "ana");
  await ana.say("Antes", "m-1", { ask: false });
  const start = { epoch: ana.cursor.epoch, seq: 0 };
  const call = await ask(ana);
  await call.write("Era uma ");
  const id = await ana.sees("Era uma ");
  using bia = await Guest.join(worker, "/chat/middle", "bia", start);
  const first = await bia.until(({ data }) => data.chunk);
  assert.deepEqual([first.data.content, first.data.snapshot, first.data.message_id], ["Era uma ", true, id]);
  assert.equal(bia.cursor.seq, 2, "what was missed came before");
  await call.write("vez.");
  const second = await bia.until(({ data }) => data.chunk);
  assert.deepEqual([second.data.content, second.data.snapshot], ["vez.", undefined]);
  await call.done();
  await bia.follows("Era uma vez.");
  using late = await Guest.join(worker, "/chat/middle", "cai", start);
  assert.equal((await late.completed()).data.content, "Era uma vez.");
});

test("who reconnects in the middle goes on as if it had never left", async () => {
  using bia = await join("/chat/back", "bia");
  const call = await ask(bia);
  let ana = await join("/chat/back", "ana");
  for (const [n, part] of ["Era ", "uma ", "vez ", "uma "].entries()) {
    await call.write(part);
    await ana.sees("Era uma vez uma ".slice(0, 4 * (n + 1)));
    ana[Symbol.dispose]();
    ana = await Guest.join(worker, "/chat/back", "ana", ana.cursor);
  }
  await call.write("ação.");
  await call.done();
  await ana.follows("Era uma vez uma ação.");
  ana[Symbol.dispose]();
});

test("an answer goes on when everybody has left, and is there when somebody comes back", async () => {
  const ana = await join("/chat/alone", "ana");
  const call = await ask(ana);
  await call.write("Era uma ");
  await ana.sees("Era uma ");
  await ana.client.close();
  await call.write("vez.");
  await call.done();
  using again = await Guest.join(worker, "/chat/alone", "ana", ana.cursor);
  const { data } = await again.completed();
  assert.deepEqual([data.status, data.content], ["completed", "Era uma vez."]);
});

test("a room that is loaded again in the middle goes on with the answer from its beginning", async () => {
  using ana = await join("/chat/lost", "ana");
  using bia = await join("/chat/lost", "bia");
  const call = await ask(ana);
  const all = [ana, bia].map((guest) => guest.follows(TEXT));
  for (const part of TEXT.match(/.{1,301}/gu) ?? []) {
    await tell(call, part);
    assert.equal((await fetch(worker.url("/fault/chat:lost/lose"))).status, 500);
  }
  await call.done();
  await Promise.all(all);
});

test("several answers grow side by side, each by itself, and questions wait for a free place", async () => {
  await using parallel = await TestWorker.start({ settings: { ...settings, AGENT_CONCURRENCY: "2" } });
  using ana = await Guest.join(parallel, "/chat/parallel", "ana");
  for (const n of [1, 2, 3]) await ana.say(`Pergunta ${n}`, `q-${n}`);
  const [first, second] = [await agent.next(), await agent.next()];
  await first.write("Um");
  const one = await ana.sees("Um");
  await second.write("Dois");
  const two = await ana.sees("Dois");
  await first.write(" a mais");
  assert.equal(await ana.sees("Um a mais"), one);
  assert.equal(agent.waiting, 0);
  await second.done();
  assert.equal((await ana.completed()).id, two);
  const third = await agent.next();
  assert.equal(third.body.message, "Pergunta 3");
  await third.write("Três");
  await third.done();
  assert.equal((await ana.completed()).data.content, "Três");
  await first.done();
  assert.deepEqual((await ana.completed()).data.content, "Um a mais");
});

for (const [name, seconds] of [
  ["at once", 0],
  // What is said is written down every 2 s, and there is nothing to see of it before the restart.
  ["after a while", 8],
] as const) {
  test(`a worker that is restarted ${name} says that the answer was interrupted, and asks the next question`, async () => {
    await using other = await TestWorker.start({ settings });
    const ana = await Guest.join(other, "/chat/restart", "ana");
    const call = await ask(ana);
    await call.write("Era uma ");
    await ana.sees("Era uma ");
    await ana.say("E depois?", "q-2");
    await pause(1_000 * seconds);
    await other.restart();
    ana[Symbol.dispose]();
    assert.equal(await call.closed, "aborted");
    using again = await Guest.join(other, "/chat/restart", "ana", ana.cursor);
    const { data } = await again.completed();
    assert.deepEqual([data.status, data.reply_to, data.error], ["interrupted", "q-1", undefined]);
    assert.ok("Era uma ".startsWith(data.content));
    if (seconds > 0) assert.equal(data.content, "Era uma ", "it was written down");
    const next = await agent.next();
    assert.equal(next.body.message, "E depois?");
    await next.done();
    assert.equal((await again.completed()).data.reply_to, "q-2");
    const types = (await history(other, "/chat/restart")).map(({ type }) => type);
    assert.deepEqual(types, ["chat", "chat", "chat_complete", "chat_complete"]);
  });
}

test("a runtime that is killed says on return that the answer was interrupted", async () => {
  await using runtime = await Runtime.start({ settings });
  const ana = await Guest.join(runtime, "/chat/kill", "ana");
  const call = await ask(ana);
  await call.write("Era uma ");
  await ana.sees("Era uma ");
  await runtime.kill();
  assert.equal(await call.closed, "aborted");
  ana[Symbol.dispose]();
  await runtime.restart();
  using again = await Guest.join(runtime, "/chat/kill", "ana", ana.cursor);
  const { data } = await again.completed();
  assert.deepEqual([data.status, data.reply_to], ["interrupted", "q-1"]);
  const next = (await again.say("Quanto?", "q-1")).data;
  assert.equal(next.duplicate, true);
  await again.say("E agora?", "q-2");
  await (await agent.next()).done();
  assert.equal((await again.completed()).data.status, "completed");
});

test("a trap in the middle leaves an answer that was interrupted, and the next question is answered", async () => {
  await using other = await TestWorker.start({ settings, faults: true });
  using ana = await Guest.join(other, "/chat/trap", "ana");
  const call = await ask(ana);
  await call.write("Era uma ");
  await ana.sees("Era uma ");
  assert.equal((await fetch(other.url("/fault/chat:trap/panic"))).status, 500);
  const { data } = await ana.completed();
  assert.deepEqual([data.status, data.reply_to], ["interrupted", "q-1"]);
  await call.write("vez.");
  await ana.say("E depois?", "q-2");
  const next = await agent.next();
  await next.write("Fim.");
  await next.done();
  assert.equal((await ana.completed()).data.content, "Fim.");
});

test("a room is not put to sleep while an agent is at it, but after that", async () => {
  await using other = await TestWorker.start({ settings: { ...settings, AGENT_TIMEOUT_MS: "1000" } });
  using ana = await Guest.join(other, "/chat/evict", "ana");
  const call = await ask(ana);
  await call.write("Era uma ");
  await ana.sees("Era uma ");
  await other.evict("chat:evict");
  const { data } = await ana.completed();
  assert.deepEqual([data.status, data.content, data.error.code], ["failed", "Era uma ", "AGENT_TIMEOUT"]);
  await ana.say("E depois?", "q-2");
  await (await agent.next()).done();
  assert.equal((await ana.completed()).data.reply_to, "q-2");
});

test("what the demonstration says goes on after a restart", async () => {
  await using other = await TestWorker.start({ settings: OPEN });
  const ana = await Guest.join(other, "/chat/demo", "ana");
  await ana.say("Quanto?", "q-1");
  await ana.until(({ data }) => data.chunk);
  await other.restart();
  ana[Symbol.dispose]();
  using again = await Guest.join(other, "/chat/demo", "ana", ana.cursor);
  const { data } = await again.completed();
  assert.deepEqual([data.status, data.reply_to], ["completed", "q-1"]);
  await again.say("Quanto?", "q-2");
  assert.equal((await again.completed()).data.content, data.content);
});
