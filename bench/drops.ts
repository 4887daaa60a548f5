// Cuts connections at random while a backend publishes: everybody gets everything, and how soon.

import { setTimeout as sleep } from "node:timers/promises";
import { audit } from "../miniflare-tests/support/audit.ts";
import { Ledger } from "../miniflare-tests/support/ledger.ts";
import { Publisher } from "../miniflare-tests/support/publisher.ts";
import { Random } from "../miniflare-tests/support/random.ts";
import { Runtime } from "../miniflare-tests/support/runtime.ts";
import { type Habits, settle, Watcher } from "../miniflare-tests/support/watcher.ts";
import { main, say } from "../scripts/project.mjs";
import { type Asked, options } from "./options.ts";
import { percentile, printFaults, printLines, total } from "./print.ts";

const DEFAULTS = { clients: 200, followers: 0, "away-ms": 2_000, every: 10, rate: 50, seconds: 60, seed: 1 };

const HELP = `
npm run bench -- drops [options]

Clients in one room lose their connections at random, stay away for a while, and come back with their cursors, while a
backend publishes. Prints how much of what they are owed arrived, and how long it took from the end of each absence
until the client had everything again. Ends with 1 if anything did not arrive.

  --clients N     clients (${DEFAULTS.clients})
  --followers N   how many of them subscribe from their general connection, rather than open the room (${DEFAULTS.followers})
  --away-ms N     milliseconds for which a client stays away (${DEFAULTS["away-ms"]})
  --every N       seconds from one absence of a client to its next, on average (${DEFAULTS.every})
  --rate N        messages a second (${DEFAULTS.rate})
  --seconds N     for how long there is publishing (${DEFAULTS.seconds})
  --seed N        what the random choices start from (${DEFAULTS.seed})`;

const ROOM = "investigation:drops";
const SETTINGS = { LOG_MAX_MESSAGES: "1000000" };
const SETTLE_MS = 30_000;

type Options = Asked<typeof DEFAULTS>;

function habits(n: number, followers: number): Habits {
  const sub = `user-${n}`;
  return n < followers ? { sub, room: `user:${sub}`, rooms: [ROOM] } : { sub, room: ROOM };
}

/** At fixed times, whether or not the answers to the ones before are in. */
async function publish(publisher: Publisher, rate: number, seconds: number): Promise<void> {
  const start = performance.now();
  const sent: Promise<void>[] = [];
  for (let n = 0; n < rate * seconds; n++) {
    await sleep(Math.max(0, start + (n * 1_000) / rate - performance.now()));
    sent.push(publisher.publish(ROOM, [{ type: "step", id: `m-${n}`, data: { n, text: "x".repeat(250) } }]));
  }
  await Promise.all(sent);
}

/** Cuts until told to stop; returns how often it did. */
async function cut(watchers: Watcher[], asked: Options, random: Random, signal: AbortSignal): Promise<number> {
  const pauseMs = (2_000 * asked.every) / watchers.length;
  for (let cuts = 0; ; cuts++) {
    await sleep(random.between(0, pauseMs));
    if (signal.aborted) return cuts;
    random.pick(watchers.filter(({ isSettled }) => isSettled))?.cut(asked["away-ms"]);
  }
}

async function rain(runtime: Runtime, watchers: Watcher[], publisher: Publisher, asked: Options): Promise<number> {
  for (const watcher of watchers) watcher.connect();
  const late = await settle(watchers, "isSettled", SETTLE_MS);
  if (late.length > 0) throw new Error(`${late.length} clients do not get in:\n${runtime.log.join("\n")}`);
  say(`${watchers.length} clients are in; ${asked.seconds} s of ${asked.rate} messages a second`);
  const end = new AbortController();
  const cutting = cut(watchers, asked, new Random(asked.seed), end.signal);
  await publish(publisher, asked.rate, asked.seconds);
  end.abort();
  const cuts = await cutting;
  await settle(watchers, "isCurrent", SETTLE_MS);
  return cuts;
}

function print(watchers: Watcher[], ledger: Ledger, cuts: number): void {
  const inboxes = watchers.map(({ inboxes }) => inboxes.get(ROOM));
  const owed = total(inboxes, (inbox) => ledger.head(ROOM) - (inbox?.first ?? 0));
  const delivered = total(inboxes, (inbox) => inbox?.received.size ?? 0);
  const recoveries = watchers.flatMap(({ recoveries }) => recoveries);
  printLines([
    ["messages acknowledged", ledger.size],
    ["connections cut", cuts],
    ["deliveries owed", owed],
    ["delivered", `${delivered}, ${((100 * delivered) / owed).toFixed(2)} %`],
    ["again on the wire, dropped", total(watchers, ({ duplicates }) => duplicates)],
    ["current again after, p50", `${percentile(recoveries, 50).toFixed(1)} ms`],
    ["current again after, p99", `${percentile(recoveries, 99).toFixed(1)} ms`],
  ]);
}

await main(async () => {
  const asked = options(HELP, DEFAULTS, "build");
  await using runtime = await Runtime.start({ build: asked.build, settings: SETTINGS });
  const [ledger, random] = [new Ledger(), new Random(asked.seed)];
  const watchers = Array.from({ length: asked.clients }, (_, n) => {
    return new Watcher(runtime, habits(n, asked.followers), random.fork(), (room) => ledger.head(room));
  });
  const publisher = new Publisher(runtime, ledger, random.fork());
  try {
    const cuts = await rain(runtime, watchers, publisher, asked);
    const { faults } = await audit(runtime, ledger, watchers);
    print(watchers, ledger, cuts);
    printFaults([...faults, ...publisher.faults]);
  } finally {
    for (const watcher of watchers) watcher.stop();
  }
});
