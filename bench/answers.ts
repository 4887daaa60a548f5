// How an agent's answer reaches the people in a chat, next to what a backend would do without: a message for each token.

import { type Call, TestAgent } from "../miniflare-tests/support/agent.ts";
import { Runtime } from "../miniflare-tests/support/runtime.ts";
import { main } from "../scripts/project.mjs";
import { bill, post } from "./bill.ts";
import { Crowd } from "./crowd.ts";
import { type Asked, options } from "./options.ts";
import { percentile, Table } from "./print.ts";
import { Spectators } from "./spectators.ts";
import { produce, TOKEN_CHARS, type Token } from "./tokens.ts";

const DEFAULTS = { tokens: 1_000, rate: 100 };
const SIZES = [1, 20, 200, 1_000];

const HELP = `
npm run bench -- answers [sockets …] [options]

An agent says a long answer in a chat (as "streamed"), and a backend publishes the same tokens as one ephemeral message
each, one after the other (as "posted"). For each number of sockets it prints the frames that each got, the characters
in a frame, the milliseconds from when a token was there to when a client had it, and what the answer cost: rows
written, requests to objects. Costs are counted in a run of their own, with the tests' own build.

  --tokens N      tokens of an answer, of ${TOKEN_CHARS} characters each (${DEFAULTS.tokens})
  --rate N        tokens a second (${DEFAULTS.rate})`;

const ROOM = "chat:answers";
const FAULTS = "build-faults";
/** Sockets that look into what they get; all others count it. */
const WATCHED = 20;

/** One way by which tokens reach a chat. */
type Way = (runtime: Runtime, agent: TestAgent, watched: Spectators, tokens: AsyncIterable<Token>) => Promise<void>;

const WAYS: Record<string, Way> = {
  async streamed(_runtime, agent, watched, tokens) {
    watched.ask();
    const call: Call = await agent.next();
    for await (const { text } of tokens) await call.write(text);
    await call.done();
  },
  async posted(runtime, _agent, _watched, tokens) {
    for await (const { text } of tokens) {
      const data = { role: "assistant", content: text, chunk: true, message_id: "answer" };
      await post(runtime, ROOM, [{ type: "chat", data, ephemeral: true }]);
    }
  },
};

interface Outcome {
  frames: number;
  delays: number[];
  rows: number;
  requests: number;
}

/** One answer to so many sockets, in a worker of its own. */
async function answer(way: Way, sockets: number, build: string, asked: Asked<typeof DEFAULTS>): Promise<Outcome> {
  await using agent = await TestAgent.start();
  const settings = { AGENT_URL: `${agent.url}/api/v1/chat/stream`, CHAT_ACCESS: "open" };
  await using runtime = await Runtime.start({ build, settings });
  const watched = await Spectators.gather(runtime, ROOM, Math.min(sockets, WATCHED), asked.tokens * TOKEN_CHARS);
  const crowd = await Crowd.gather(runtime, ROOM, Math.max(0, sockets - WATCHED), "watch");
  const counted = build === FAULTS;
  if (counted) await bill(runtime);
  const sent: number[] = [];
  await way(runtime, agent, watched, produce(asked.tokens, asked.rate, sent));
  const arrivals = await watched.done();
  await crowd.quiet();
  const cost = counted ? await bill(runtime) : { rows_written: 0, requests: 0 };
  const delays = arrivals.flatMap((at) => at.map((time, n) => time - (sent[n] ?? Number.NaN)));
  const frames = (watched.frames + crowd.frames) / sockets;
  watched.leave();
  crowd.leave();
  return { frames, delays, rows: cost.rows_written, requests: cost.requests };
}

await main(async () => {
  const asked = options(HELP, DEFAULTS, "build");
  const sizes = asked.words.length > 0 ? asked.words.map(Number) : SIZES;
  const headings = ["frames/socket", "chars/frame", "p50 ms", "p99 ms", "rows written", "requests"];
  const table = new Table(`${asked.tokens} tokens, ${asked.rate} a second`, headings);
  for (const sockets of sizes) {
    for (const [name, way] of Object.entries(WAYS)) {
      const { frames, delays } = await answer(way, sockets, asked.build, asked);
      const { rows, requests } = await answer(way, sockets, FAULTS, asked);
      const chars = (asked.tokens * TOKEN_CHARS) / frames;
      const times = [percentile(delays, 50), percentile(delays, 99)].map((ms) => ms.toFixed(1));
      table.row(`${sockets} sockets, ${name}`, [frames.toFixed(1), chars.toFixed(1), ...times, rows, requests]);
    }
  }
});
