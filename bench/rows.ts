// What a message costs on the platform's bill: rows of storage and requests to objects.

import type { Message } from "../miniflare-tests/support/publisher.ts";
import { Runtime, type Server } from "../miniflare-tests/support/runtime.ts";
import { main } from "../scripts/project.mjs";
import { type Bill, bill, post } from "./bill.ts";
import { Crowd, type Manner } from "./crowd.ts";
import { type Asked, options } from "./options.ts";
import { printFaults, Table } from "./print.ts";
import { wake } from "./wake.ts";

const DEFAULTS = { messages: 5_000, seconds: 6, members: 1_000, log: 10_000 };

const HELP = `
npm run bench -- rows [shape …] [options]

Publishes into a room, one run for each shape of publishing and of who listens, and prints what an accepted message
costs when the room is warm: rows written and read, requests to objects, frames from clients. Then, as "wake", what it
costs that a room with many members, who are away, and a full log is loaded to answer one resume. Ends with 1 if a
message that is kept costs more than 2 rows, or one that is not kept any. With words: only the shapes that hold one.

  --messages N    messages of each shape, at most (${DEFAULTS.messages})
  --seconds N     for how long each shape is published, at most (${DEFAULTS.seconds})
  --members N     members of the room that wakes (${DEFAULTS.members})
  --log N         messages in its log (${DEFAULTS.log})`;

const ROOM = "investigation:rows";
const KEPT = 2;
/** What happens now and then, such as a segment's end, is spread over all messages. */
const NOISE = 0.01;
/** In a busy room of many sockets an alarm stands behind the timers, and is set anew about once a second. */
const ALARMS_PER_SECOND = 2;
const WARM_UP = 200;
const IN_FLIGHT = 8;
interface Shape {
  name: string;
  /** Rows that one message may cost. */
  limit: number;
  listeners?: number;
  manner?: Manner;
  /** The messages of the n-th request. */
  body: (n: number) => Message[];
}

const message = { type: "step", data: { text: "x".repeat(250) } };
const single = (n: number) => [{ ...message, id: `m-${n}` }];
const ephemeral = () => [{ ...message, ephemeral: true }];
const hundred = (n: number) => Array.from({ length: 100 }, (_, m) => ({ ...message, id: `m-${n}-${m}` }));

const SHAPES: Shape[] = [
  { name: "single, own ids", limit: KEPT, body: single },
  { name: "single, without ids", limit: KEPT, body: () => [message] },
  { name: "arrays of 100", limit: KEPT, body: hundred },
  { name: "100 sockets", limit: KEPT, listeners: 100, body: single },
  { name: "100 sockets that confirm", limit: KEPT, listeners: 100, manner: "confirm", body: single },
  { name: "1,000 sockets", limit: KEPT, listeners: 1_000, body: single },
  { name: "50 followers", limit: KEPT, listeners: 50, manner: "follow", body: single },
  { name: "ephemeral, 100 sockets", limit: 0, listeners: 100, body: ephemeral },
  { name: "ephemeral, 50 followers", limit: 0, listeners: 50, manner: "follow", body: ephemeral },
  { name: "duplicates", limit: 0, body: (n) => single(n % 50) },
];

/** Publishes with several requests under way; returns how many messages were accepted. */
async function publish(server: Server, shape: Shape, first: number, most: number, seconds: number): Promise<number> {
  const end = performance.now() + 1_000 * seconds;
  let [request, accepted] = [first, 0];
  const work = async () => {
    while (accepted < most && performance.now() < end) {
      const messages = shape.body(request++);
      accepted += messages.length;
      await post(server, ROOM, messages);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return accepted;
}

async function measure(shape: Shape, asked: Asked<typeof DEFAULTS>): Promise<[number, Bill]> {
  await using runtime = await Runtime.start({ build: asked.build });
  const crowd = await Crowd.gather(runtime, ROOM, shape.listeners ?? 0, shape.manner ?? "watch");
  const settled = async () => {
    await crowd.quiet();
    return bill(runtime);
  };
  try {
    await publish(runtime, shape, 0, WARM_UP, asked.seconds);
    await settled();
    const accepted = await publish(runtime, shape, WARM_UP, asked.messages, asked.seconds);
    return [accepted, await settled()];
  } finally {
    crowd.leave();
  }
}

/** Returns what costs too much. */
async function measureShapes(shapes: Shape[], asked: Asked<typeof DEFAULTS>): Promise<string[]> {
  const faults: string[] = [];
  const table = new Table("for each message", ["messages", "rows written", "rows read", "requests", "frames in"]);
  for (const shape of shapes) {
    const [accepted, cost] = await measure(shape, asked);
    const each = (count: number) => (count / accepted).toFixed(3);
    const counts = [cost.rows_written, cost.rows_read, cost.requests, cost.frames_in];
    table.row(shape.name, [accepted, ...counts.map(each)]);
    const noise = Math.max(NOISE * accepted, ALARMS_PER_SECOND * asked.seconds);
    if (cost.rows_written > shape.limit * accepted + noise)
      faults.push(`${shape.name}: over ${shape.limit} rows a message`);
  }
  return faults;
}

await main(async () => {
  const asked = options(HELP, DEFAULTS, "build-faults");
  const wanted = (name: string) => asked.words.length === 0 || asked.words.some((word) => name.includes(word));
  const shapes = SHAPES.filter(({ name }) => wanted(name));
  const faults = shapes.length > 0 ? await measureShapes(shapes, asked) : [];
  if (wanted("wake")) await wake(asked.build, asked.members, asked.log);
  printFaults(faults);
});
