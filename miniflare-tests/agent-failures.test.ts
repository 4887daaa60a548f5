// Whatever an agent does, its question is answered: by what it has said so far, with the reason why there is no more,
// and then the next question is asked.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { type Call, type Closed, type Script, TestAgent } from "./support/agent.ts";
import { Guest, OPEN } from "./support/chat.ts";
import { type Frame, unpack } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

const TOKEN = "a-token-that-nobody-may-see";
const PATH = "/api/v1/chat/stream";
const SETTINGS = { ...OPEN, AGENT_TOKEN: TOKEN, AGENT_TIMEOUT_MS: "1000" };

interface Failure {
  does: Script;
  code: string;
  /** What stays of the answer. */
  content?: string;
  /** In the agent's words. */
  message?: string;
  /** How the worker left. */
  closed?: Closed;
}

const forever = async (call: Call) => {
  await call.closed;
};

const FAILURES: Record<string, Failure> = {
  "answers 500": { does: (call) => call.refuse(500), code: "AGENT_UNAVAILABLE" },
  "answers 429": { does: (call) => call.refuse(429), code: "AGENT_UNAVAILABLE" },
  "answers 204": { does: (call) => call.refuse(204), code: "AGENT_UNAVAILABLE" },
  "cuts the connection before it says anything": { does: (call) => call.cut(), code: "AGENT_UNAVAILABLE" },
  "never answers": { does: forever, code: "AGENT_TIMEOUT", closed: "aborted" },
  "opens its answer and says nothing": {
    does: async (call) => {
      call.open();
      await call.closed;
    },
    code: "AGENT_TIMEOUT",
    closed: "aborted",
  },
  "falls silent": {
    does: async (call) => {
      await call.write("Era uma vez");
      await call.closed;
    },
    code: "AGENT_TIMEOUT",
    content: "Era uma vez",
    closed: "aborted",
  },
  "ends without an end": {
    does: async (call) => {
      await call.write("Era uma vez");
      await call.end();
    },
    code: "AGENT_FAILED",
    content: "Era uma vez",
  },
  "cuts the connection": {
    does: async (call) => {
      await call.write("Era uma ação");
      call.pace = { bytes: 1 };
      await call.raw('data: {"type":"chunk","content":"ã"}'.slice(0, -3));
      await call.cut();
    },
    code: "AGENT_FAILED",
    content: "Era uma ação",
  },
  "says nothing at all": { does: (call) => call.end(), code: "AGENT_FAILED" },
  "sends what is no JSON": {
    does: async (call) => {
      await call.write("Era uma vez");
      await call.raw('data: {"type":"chunk",\n\n');
      await call.closed;
    },
    code: "AGENT_FAILED",
    content: "Era uma vez",
    closed: "aborted",
  },
  "sends a page": {
    does: (call) => call.raw("<html><body>502</body></html>").then(() => call.end()),
    code: "AGENT_FAILED",
  },
  "says that it failed": {
    does: async (call) => {
      await call.write("Era uma vez");
      await call.fail("O modelo caiu.");
    },
    code: "AGENT_FAILED",
    content: "Era uma vez",
    message: "O modelo caiu.",
  },
  "goes on for ever": { does: (call) => call.flood("blá ".repeat(1_000)), code: "AGENT_FAILED", closed: "aborted" },
  "sends comments for ever": {
    does: async (call) => {
      while ((await Promise.race([call.closed, call.raw(`: ${"x".repeat(65_536)}\n\n`)])) === undefined);
    },
    code: "AGENT_FAILED",
    closed: "aborted",
  },
  "sends a line for ever": {
    does: async (call) => {
      while ((await Promise.race([call.closed, call.raw("x".repeat(65_536))])) === undefined);
    },
    code: "AGENT_FAILED",
    closed: "aborted",
  },
};

let agent: TestAgent;
let worker: TestWorker;
before(async () => {
  agent = await TestAgent.start(async (call) => {
    const failure = FAILURES[call.body.message];
    if (failure) return failure.does(call);
    await call.write("Agora sim.");
    await call.done();
  });
  worker = await TestWorker.start({ settings: { ...SETTINGS, AGENT_URL: agent.url + PATH } });
});
after(async () => {
  await worker[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

/** Asks, and returns the error that everybody is told of, and the answer. */
async function ask(guest: Guest, question: string): Promise<{ error: Frame; answer: Frame }> {
  await guest.say(question);
  const error = await guest.until(({ type, room }) => type === "error" && room !== undefined);
  return { error, answer: await guest.completed() };
}

function assertFailed(error: Frame, answer: Frame, code: string): void {
  const { message_id, reply_to, status } = answer.data;
  assert.equal(status, "failed");
  assert.equal(answer.data.error.code, code);
  assert.deepEqual([error.data.code, error.data.retry, error.seq], [code, true, undefined]);
  assert.deepEqual([error.data.message_id, error.data.reply_to], [message_id, reply_to]);
  assert.equal(error.data.message, answer.data.error.message);
}

for (const [name, { does: _, code, content, message, closed }] of Object.entries(FAILURES)) {
  test(`an agent that ${name}: ${code}, and the next question is answered`, async () => {
    const path = `/chat/${name.replaceAll(" ", "-")}`;
    using ana = await Guest.join(worker, path, "ana");
    const { error, answer } = await ask(ana, name);
    assertFailed(error, answer, code);
    if (content !== undefined) assert.equal(answer.data.content, content);
    if (message !== undefined) assert.equal(error.data.message, message);
    const call = await agent.next();
    if (closed !== undefined) assert.equal(await call.closed, closed);
    await ana.say("E agora?");
    assert.equal((await ana.completed()).data.content, "Agora sim.");
    await agent.next();
  });
}

test("what goes on for ever is cut at its bound, and not before", async () => {
  using ana = await Guest.join(worker, "/chat/bound", "ana");
  const { answer } = await ask(ana, "goes on for ever");
  await agent.next();
  assert.match(answer.data.content, /^(blá )+$/);
  assert.ok(answer.data.content.length > 200_000, `${answer.data.content.length}`);
});

test("an agent that nobody answers for is unavailable", async () => {
  const probe = createServer();
  const port = await new Promise<number>((resolve) => {
    probe.listen(0, "127.0.0.1", () => resolve((probe.address() as { port: number }).port));
  });
  await new Promise((closed) => probe.close(closed));
  for (const AGENT_URL of [`http://127.0.0.1:${port}${PATH}`, "http://", "ftp://127.0.0.1/"]) {
    await using alone = await TestWorker.start({ settings: { ...SETTINGS, AGENT_URL } });
    using ana = await Guest.join(alone, "/chat/nobody", "ana");
    const { error, answer } = await ask(ana, "Quanto?");
    assertFailed(error, answer, "AGENT_UNAVAILABLE");
    assert.equal(answer.data.content, "");
  }
});

test("an agent that has moved is not followed: the other one is asked nothing", async () => {
  await using other = await TestAgent.start((call) => call.done());
  for (const status of [301, 302, 307, 308]) {
    await using moved = await TestAgent.start((call) => call.redirect(status, other.url + PATH));
    await using alone = await TestWorker.start({ settings: { ...SETTINGS, AGENT_URL: moved.url + PATH } });
    using ana = await Guest.join(alone, "/chat/moved", "ana");
    const { error, answer } = await ask(ana, "Quanto?");
    assertFailed(error, answer, "AGENT_UNAVAILABLE");
    assert.equal(moved.waiting, 1);
  }
  assert.equal(other.waiting, 0);
});

test("the token is the agent's alone: no log and no frame holds it", async () => {
  const frames: string[] = [];
  using ana = await Guest.join(worker, "/chat/token", "ana");
  ana.client.socket.on("message", (frame) => frames.push(frame.toString()));
  for (const question of ["answers 500", "cuts the connection", "never answers", "Quanto?"]) {
    await ana.say(question);
    await ana.completed();
    assert.equal((await agent.next()).headers.authorization, `Bearer ${TOKEN}`);
  }
  assert.ok(frames.flatMap((frame) => unpack(JSON.parse(frame))).some(({ type }) => type === "chat_complete"));
  assert.ok(worker.log.some((line) => line.includes("agent: status 500")));
  for (const text of [...frames, ...worker.log]) assert.doesNotMatch(text, new RegExp(TOKEN));
});

test("a token that no header can hold is not told either", async () => {
  const settings = { ...SETTINGS, AGENT_URL: agent.url + PATH, AGENT_TOKEN: `${TOKEN}\nnext line` };
  await using alone = await TestWorker.start({ settings });
  using ana = await Guest.join(alone, "/chat/token", "ana");
  const { error, answer } = await ask(ana, "Quanto?");
  assertFailed(error, answer, "AGENT_UNAVAILABLE");
  for (const text of alone.log) assert.doesNotMatch(text, new RegExp(TOKEN));
});
