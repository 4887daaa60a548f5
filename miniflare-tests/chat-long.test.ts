// Answers that take long, side by side: one to many people, one of whom cannot stay connected, and one of an agent that
// thinks for longer than a room without events stays awake.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type Call, type Closed, TestAgent } from "./support/agent.ts";
import { Guest, OPEN } from "./support/chat.ts";
import { Random } from "./support/random.ts";
import { TestWorker } from "./support/worker.ts";

const PEOPLE = 20;
const TOKENS = Array.from({ length: 2_000 }, (_, n) => `${["ação", "R$", "“x”", "🇧🇷", "\n"][n % 5]}${n} `);
const TOKEN_MS = 10;
const STAY_MS = 1_000;
/** The runtime puts an object to sleep 10 s after its last event, if nothing keeps it awake. An agent may be silent for 30. */
const THINKING_MS = 20_000;

let worker: TestWorker;
let agent: TestAgent;
before(async () => {
  agent = await TestAgent.start((call) => (call.body.session_id === "crowd" ? tell(call) : think(call)));
  worker = await TestWorker.start({ settings: { ...OPEN, AGENT_URL: `${agent.url}/api/v1/chat/stream` } });
});
after(async () => {
  await worker[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

/** Says all tokens at their pace, cut anywhere: in the middle of an event, of a character. */
async function tell(call: Call): Promise<void> {
  const [random, begin] = [new Random(7), performance.now()];
  let rest: Buffer = Buffer.alloc(0);
  for (const [n, content] of TOKENS.entries()) {
    rest = Buffer.concat([rest, Buffer.from(`data: ${JSON.stringify({ type: "chunk", content })}\n\n`)]);
    const size = random.whole(1, rest.length);
    await call.raw(rest.subarray(0, size));
    rest = rest.subarray(size);
    await pause(Math.max(0, begin + TOKEN_MS * n - performance.now()));
  }
  await call.raw(rest);
  await call.done();
}

/** How the caller left the agent that thought for long. */
const thought = Promise.withResolvers<Closed>();

async function think(call: Call): Promise<void> {
  await call.write("Pensei ");
  await pause(THINKING_MS);
  await call.write("muito.");
  await call.done();
  thought.resolve(call.closed);
}

const join = (path: string, sub: string, back?: Guest["cursor"]) => Guest.join(worker, path, sub, back);

/** Somebody whose connection breaks every second, and who comes back with a cursor. Returns how often. */
async function comesAnew(text: string): Promise<number> {
  let guest = await join("/chat/crowd", "anew");
  for (let times = 0; ; times++) {
    const following = guest.follows(text).then(() => true);
    const cut = new AbortController();
    const leaving = pause(STAY_MS, false, { signal: cut.signal }).catch(() => false);
    const complete = await Promise.race([following, leaving]);
    cut.abort();
    guest.client.socket.terminate();
    if (complete) return times;
    following.catch((error) => assert.equal(error.name, "AbortError", error));
    guest = await join("/chat/crowd", "anew", guest.cursor);
  }
}

describe("at the same time", { concurrency: true }, () => {
  test(`2,000 tokens to ${PEOPLE} people, one of whom comes anew every second: nobody loses a character`, async () => {
    const text = TOKENS.join("");
    const names = Array.from({ length: PEOPLE - 1 }, (_, n) => `guest-${n}`);
    const guests = await Promise.all(names.map((sub) => join("/chat/crowd", sub)));
    guests[0]?.client.send({ type: "chat", data: { content: "Quanto?" } });
    const [times] = await Promise.all([comesAnew(text), ...guests.map((guest) => guest.follows(text))]);
    assert.ok(times >= 5, `it came anew ${times} times`);
    for (const guest of guests) guest[Symbol.dispose]();
  });

  test("an agent that thinks for long in a chat that everybody has left is waited for", async () => {
    const ana = await join("/chat/long", "ana");
    await ana.say("Quanto?");
    await ana.sees("Pensei ");
    await ana.client.close();
    assert.equal(await thought.promise, "ended");
    using again = await join("/chat/long", "ana", ana.cursor);
    await again.follows("Pensei muito.");
  });
});
