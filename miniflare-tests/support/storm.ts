// Rooms full of clients of every kind, and backends that publish, while the runtime is killed and connections break.

import { setTimeout as sleep } from "node:timers/promises";
import { type Audit, audit } from "./audit.ts";
import { Ledger } from "./ledger.ts";
import { type Message, Publisher } from "./publisher.ts";
import { Random } from "./random.ts";
import { Runtime } from "./runtime.ts";
import { type Habits, settle, Watcher } from "./watcher.ts";

export interface Weather {
  build?: string;
  kills: number;
  /** How long there is publishing; the kills are spread over it. */
  seconds: number;
  /** What the random choices start from. */
  seed: number;
  rooms: number;
  clients: number;
  publishers: number;
  /** Milliseconds between two broken connections, on average. */
  cutMs: number;
}

export interface Report extends Audit {
  kills: number;
  cuts: number;
  acknowledged: number;
  requests: number;
  retries: number;
  /** Messages that the worker was sent again, and knew. */
  duplicates: number;
  longestRecoveryMs: number;
  watchers: Watcher[];
}

/** Each is the habit of every eighth client. */
const KINDS: (Pick<Habits, "cursor" | "acks"> & { follows: boolean })[] = [
  { follows: false },
  { follows: false, acks: true },
  { follows: false, cursor: false },
  { follows: false, cursor: false, acks: true },
  { follows: true },
  { follows: true, acks: true },
  { follows: true, cursor: false },
  { follows: true, cursor: false, acks: true },
];

const SORTS = ["investigation", "analysis", "chat"];

/** No log is to be trimmed during a run: it is compared with what was published. Many people are in each chat. */
const SETTINGS = { CHAT_ACCESS: "open", LOG_MAX_MESSAGES: "1000000" };
const SETTLE_MS = 90_000;
const MOST_IN_ARRAY = 20;

export async function storm(weather: Weather, say: (line: string) => void = () => {}): Promise<Report> {
  await using runtime = await Runtime.start({ build: weather.build, settings: SETTINGS });
  return await new Storm(runtime, weather, say).run();
}

class Storm {
  readonly #runtime: Runtime;
  readonly #weather: Weather;
  readonly #say: (line: string) => void;
  readonly #random: Random;
  readonly #ledger = new Ledger();
  readonly #rooms: string[];
  readonly #watchers: Watcher[];
  readonly #publishers: Publisher[];
  #kills = 0;
  #cuts = 0;
  #publishing = true;
  #raging = true;

  constructor(runtime: Runtime, weather: Weather, say: (line: string) => void) {
    this.#runtime = runtime;
    this.#weather = weather;
    this.#say = say;
    this.#random = new Random(weather.seed);
    this.#rooms = Array.from({ length: weather.rooms }, (_, n) => `${SORTS[n % SORTS.length]}:${n}`);
    const heads = (room: string) => this.#ledger.head(room);
    this.#watchers = Array.from({ length: weather.clients }, (_, n) => {
      return new Watcher(runtime, this.#habits(n), this.#random.fork(), heads);
    });
    this.#publishers = Array.from({ length: weather.publishers }, () => {
      return new Publisher(runtime, this.#ledger, this.#random.fork());
    });
  }

  async run(): Promise<Report> {
    try {
      for (const watcher of this.#watchers) watcher.connect();
      await this.#settle("isSettled");
      await this.#rage();
      const late = await this.#settle("isCurrent");
      const found = await audit(this.#runtime, this.#ledger, this.#watchers);
      return this.#report({ ...found, faults: [...late, ...found.faults] });
    } finally {
      for (const watcher of this.#watchers) watcher.stop();
    }
  }

  /** The last kill comes when nothing is published any more, which might have helped somebody to go on. */
  async #rage(): Promise<void> {
    const publishing = this.#publishers.map((publisher, n) => this.#publish(publisher, `p${n}`, this.#random.fork()));
    const cutting = this.#cut(this.#random.fork());
    const [random, end] = [this.#random.fork(), performance.now() + 1_000 * this.#weather.seconds];
    while (this.#kills < this.#weather.kills - 1) await this.#kill(random);
    await sleep(Math.max(0, end - performance.now()));
    this.#publishing = false;
    await Promise.all(publishing);
    if (this.#kills < this.#weather.kills) await this.#kill(random);
    this.#raging = false;
    await cutting;
  }

  async #kill(random: Random): Promise<void> {
    const { seconds, kills } = this.#weather;
    await sleep(random.between(0, (2_000 * seconds) / kills));
    await this.#runtime.kill();
    this.#kills += 1;
    this.#say(`kill ${this.#kills} of ${kills}, ${this.#ledger.size} messages acknowledged`);
    if (random.chance(0.5)) await sleep(random.between(0, 500));
    await this.#runtime.restart();
  }

  async #cut(random: Random): Promise<void> {
    while (this.#raging) {
      await sleep(random.between(0, 2 * this.#weather.cutMs));
      const watcher = random.pick(this.#watchers);
      this.#cuts += 1;
      // Who brings no cursor while the old connection seems alive is a second tab, and starts anew.
      if (random.chance(0.3) && watcher.habits.cursor !== false) watcher.abandon();
      else watcher.cut();
    }
  }

  async #publish(publisher: Publisher, name: string, random: Random): Promise<void> {
    for (let n = 0; this.#publishing; n++) {
      const room = random.chance(0.1) ? random.pick(this.#watchers).habits.room : random.pick(this.#rooms);
      const messages = batch(`${name}-${n}`, random);
      await publisher.publish(room, messages);
      // Sometimes the answer does not get through to the backend, which asks again.
      if (random.chance(0.05)) await publisher.publish(room, messages);
      await sleep(random.between(0, 40));
    }
  }

  #habits(n: number): Habits {
    const { follows, ...habits } = KINDS[n % KINDS.length] as (typeof KINDS)[number];
    const random = this.#random.fork();
    const sub = `user-${n}`;
    const own = follows ? `user:${sub}` : (this.#rooms[n % this.#rooms.length] as string);
    return {
      ...habits,
      sub,
      room: own,
      rooms: follows ? this.#someRooms(random) : [],
      batches: random.chance(0.7),
      ...(random.chance(0.5) && { pingMs: 500 }),
      ...(random.chance(0.5) && { device: "phone" }),
      longestPauseMs: 2_000,
    };
  }

  /** The first one, and some of the others that one can subscribe to. */
  #someRooms(random: Random): string[] {
    return this.#rooms.filter((room, n) => n === 0 || (!room.startsWith("chat:") && random.chance(0.5)));
  }

  async #settle(wanted: "isSettled" | "isCurrent"): Promise<string[]> {
    const others = await settle(this.#watchers, wanted, SETTLE_MS);
    return others.map(({ habits, kind }) => `${habits.sub} (${kind}) is not back after ${SETTLE_MS / 1_000} s`);
  }

  #report({ lost, missed, faults }: Audit): Report {
    const sum = (count: (publisher: Publisher) => number) =>
      this.#publishers.reduce((total, publisher) => total + count(publisher), 0);
    return {
      lost,
      missed,
      faults: [...faults, ...this.#publishers.flatMap((publisher) => publisher.faults)],
      kills: this.#kills,
      cuts: this.#cuts,
      acknowledged: this.#ledger.size,
      requests: sum(({ requests }) => requests),
      retries: sum(({ retries }) => retries),
      duplicates: sum(({ duplicates }) => duplicates),
      longestRecoveryMs: Math.max(0, ...this.#watchers.flatMap(({ recoveries }) => recoveries)),
      watchers: this.#watchers,
    };
  }
}

/** Mostly one message, sometimes many; some of them are not to be kept. */
function batch(name: string, random: Random): Message[] {
  const length = random.chance(0.7) ? 1 : random.whole(2, MOST_IN_ARRAY);
  return Array.from({ length }, (_, n) => {
    const priority = random.chance(0.8) ? "normal" : random.pick(["critical", "low"]);
    const data = { priority, text: "x".repeat(random.whole(0, 400)) };
    return { type: "step", id: `${name}-${n}`, priority, data, ...(random.chance(0.05) && { ephemeral: true }) };
  });
}
