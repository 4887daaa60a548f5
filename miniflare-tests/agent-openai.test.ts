// An agent that speaks as OpenAI does, and is told what was said before, since it remembers nothing by itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Call, TestAgent } from "./support/agent.ts";
import { Guest, OPEN } from "./support/chat.ts";
import { TestWorker } from "./support/worker.ts";

let agent: TestAgent;
let worker: TestWorker;
before(async () => {
  agent = await TestAgent.start();
  const settings = {
    ...OPEN,
    AGENT_URL: `${agent.url}/v1/chat/completions`,
    AGENT_KIND: "openai",
    AGENT_MODEL: "sabia-3",
    AGENT_PROMPT: "Responda em português.",
    AGENT_TOKEN: "sk-test",
  };
  worker = await TestWorker.start({ settings });
});
after(async () => {
  await worker[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

const join = (path: string, sub = "ana") => Guest.join(worker, path, sub);
const system = { role: "system", content: "Responda em português." };
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

/** Answers the next question, and returns what the agent was told. */
async function answer(guest: Guest, text: string): Promise<Call> {
  const call = await agent.next();
  call.pace = { bytes: 5 };
  for (const word of text.split(/(?= )/)) await call.write(word);
  await call.done();
  assert.equal((await guest.completed()).data.content, text);
  return call;
}

test("it is asked for a stream of the model's, with the prompt, the token and the question", async () => {
  using ana = await join("/chat/first");
  await ana.say("Quanto custou a ponte?");
  const { headers, body } = await answer(ana, "A ponte custou R$ 1 milhão. 🇧🇷");
  assert.equal(headers.authorization, "Bearer sk-test");
  assert.deepEqual(body, {
    model: "sabia-3",
    stream: true,
    messages: [system, user("Quanto custou a ponte?")],
  });
});

test("it is told what was said before, by whoever, and not what came after the question", async () => {
  using ana = await join("/chat/recall");
  using bia = await join("/chat/recall", "bia");
  await ana.say("Um?");
  await answer(ana, "Resposta um.");
  await bia.say("Um comentário.", undefined, { ask: false });
  await worker.publish("/chat/recall", { type: "notification", data: { content: "nada" } });
  await worker.evict("chat:recall");
  await bia.say("Dois?");
  const call = await agent.next();
  await ana.say("Três?");
  assert.deepEqual(call.body.messages, [
    system,
    user("Um?"),
    assistant("Resposta um."),
    user("Um comentário."),
    user("Dois?"),
  ]);
  await call.write("Resposta dois.");
  await call.done();
  await ana.completed();
  const { body } = await answer(ana, "Resposta três.");
  assert.deepEqual(body.messages.slice(-3), [user("Dois?"), assistant("Resposta dois."), user("Três?")]);
});

test("of a long conversation it is told the newest", async () => {
  using ana = await join("/chat/long");
  for (let n = 1; n <= 60; n++) await ana.say(`Comentário ${n}`, `m-${n}`, { ask: false });
  await ana.say("E agora?");
  const { body } = await answer(ana, "Agora sim.");
  assert.deepEqual(body.messages.slice(0, 2), [system, user("Comentário 22")]);
  assert.equal(body.messages.length, 1 + 40);
});

test("an answer that was cut is remembered as far as it came", async () => {
  using ana = await join("/chat/cut");
  await ana.say("Um?", "q-1");
  const first = await agent.next();
  await first.write("Era uma");
  await ana.sees("Era uma");
  ana.client.send({ type: "chat_cancel", data: { reply_to: "q-1" } });
  assert.equal(await first.closed, "aborted");
  await ana.completed();
  await ana.say("Dois?");
  const { body } = await answer(ana, "Sim.");
  assert.deepEqual(body.messages, [system, user("Um?"), assistant("Era uma"), user("Dois?")]);
});

for (const [name, code, says] of [
  ["its words", "AGENT_FAILED", (call) => call.fail("Sem créditos.")],
  ["a stream without an end", "AGENT_FAILED", (call) => call.end()],
  ["a refusal", "AGENT_UNAVAILABLE", (call) => call.refuse(401, { error: { message: "Incorrect API key" } })],
] as [string, string, (call: Call) => Promise<void>][]) {
  test(`it fails with ${name}: ${code}`, async () => {
    using ana = await join(`/chat/fails-${code}-${name.length}`);
    await ana.say("Quanto?");
    await says(await agent.next());
    const error = await ana.until(({ type }) => type === "error");
    const { data } = await ana.completed();
    assert.deepEqual([error.data.code, data.status, data.error.code], [code, "failed", code]);
    if (name === "its words") assert.equal(data.error.message, "Sem créditos.");
  });
}
