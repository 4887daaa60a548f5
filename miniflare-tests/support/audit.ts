// What became of everything that was acknowledged: whether each room's log has it, and each client.

import { setTimeout as sleep } from "node:timers/promises";
import type { Inbox } from "./inbox.ts";
import { type Ledger, routeOf } from "./ledger.ts";
import type { Server } from "./runtime.ts";
import type { Watcher } from "./watcher.ts";

interface Page {
  messages: { id: string; seq: number }[];
  more: boolean;
}

/** How long the server may take to hear from its other rooms how far they are. */
const STATUS_MS = 10_000;

/** How long a message may be on its way from the server to a client. */
const ON_ITS_WAY_MS = 3_000;

export interface Audit {
  /** Messages that a client is owed and does not have. */
  lost: number;
  /** Messages that were on their way when a connection broke, to clients that never say how far they are. */
  missed: number;
  faults: string[];
}

/** Compares the logs with what was acknowledged, and what the clients have with the logs. */
export async function audit(server: Server, ledger: Ledger, watchers: Watcher[]): Promise<Audit> {
  const result: Audit = { lost: 0, missed: 0, faults: [...ledger.faults] };
  const logs = new Map<string, string[]>();
  for (const [room, acknowledged] of ledger.rooms) {
    const log = await readLog(server, room, result.faults);
    logs.set(room, log);
    compare(room, log, acknowledged, result.faults);
  }
  for (const watcher of watchers) examine(watcher, logs, ledger, result);
  const deadline = performance.now() + STATUS_MS;
  for (const [room, log] of logs) {
    const wrong = [log.length > 0 && (await misjudged(server, room, log, watchers, deadline))];
    wrong.push(await haunted(server, room, watchers, deadline));
    result.faults.push(...wrong.filter((fault) => typeof fault === "string"));
  }
  return result;
}

/** All ids of a room in the order of the log: the first stands at 1. */
async function readLog(server: Server, room: string, faults: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (let page = await read(server, room, 0); ; page = await read(server, room, ids.length)) {
    for (const { id, seq } of page.messages) {
      ids.push(id);
      if (seq !== ids.length) faults.push(`${room}: ${id} stands at ${seq} in the log, as number ${ids.length}`);
    }
    if (!page.more || page.messages.length === 0) return ids;
  }
}

function read(server: Server, room: string, since: number): Promise<Page> {
  return get(server, `${routeOf(room)}/messages?since=${since}&limit=1000`);
}

async function get<T>(server: Server, path: string): Promise<T> {
  const authorization = `Bearer ${server.token({ sub: "backend", role: "service" })}`;
  const response = await fetch(server.url(path), { headers: { authorization } });
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

function compare(room: string, log: string[], acknowledged: Map<string, number>, faults: string[]): void {
  const unique = new Set(log);
  if (unique.size !== log.length) faults.push(`${room}: ${log.length - unique.size} ids stand in the log twice`);
  for (const [id, seq] of acknowledged) {
    if (log[seq - 1] !== id) faults.push(`${room}: ${id} was acknowledged at ${seq}, where there is ${log[seq - 1]}`);
  }
  // Publishers go on until they have an answer, so nothing is left of which they know nothing.
  if (log.length !== acknowledged.size) {
    faults.push(`${room}: ${log.length} in the log, ${acknowledged.size} acknowledged`);
  }
}

function examine(watcher: Watcher, logs: Map<string, string[]>, ledger: Ledger, result: Audit): void {
  const who = `${watcher.habits.sub} (${watcher.kind})`;
  for (const inbox of watcher.inboxes.values()) {
    const missing = missingFrom(inbox, logs.get(inbox.room) ?? []);
    const lost = missing.filter((seq) => watcher.isSure || !wasOnItsWay(watcher, ledger.time(inbox.room, seq)));
    result.lost += lost.length;
    result.missed += missing.length - lost.length;
    if (lost.length > 0)
      result.faults.push(`${who} lacks ${lost.length} messages of ${inbox.room}, from ${lost[0]} on`);
  }
  for (const fault of watcher.faults) result.faults.push(`${who}: ${fault}`);
}

function missingFrom({ first = 0, received }: Inbox, log: string[]): number[] {
  const owed = log.map((id, index) => ({ id, seq: index + 1 })).filter(({ seq }) => seq > first);
  return owed.filter(({ id, seq }) => received.get(seq) !== id).map(({ seq }) => seq);
}

/** Whether it was sent shortly before a connection broke: live, or among what that connection was to make up for. */
function wasOnItsWay({ lives }: Watcher, time: number): boolean {
  return lives.some(({ from, to }) => time <= to && to - Math.max(from, time) <= ON_ITS_WAY_MS);
}

interface Status {
  queued: number;
  delivered: number;
  confirmed: number;
}

/** What the server says wrongly of the newest message, which everybody has; it may take a moment to know that itself. */
async function misjudged(
  server: Server,
  room: string,
  log: string[],
  watchers: Watcher[],
  deadline: number,
): Promise<string | undefined> {
  const direct = watchers.filter(({ habits }) => habits.room === room);
  const follow = watchers.filter(({ habits }) => habits.rooms?.includes(room));
  const atLeast = direct.filter(({ habits }) => habits.acks).length;
  for (;;) {
    const { queued, delivered, confirmed } = await get<Status>(server, `${routeOf(room)}/messages/${log.at(-1)}`);
    if (queued === 0 && delivered + confirmed === direct.length + follow.length && confirmed >= atLeast)
      return undefined;
    const judged = `${queued} queued, ${delivered} delivered, ${confirmed} confirmed`;
    const fault = `${room}: ${judged}, of ${direct.length} here (${atLeast} confirm) and ${follow.length} that follow`;
    if (performance.now() > deadline) return fault;
    await sleep(100);
  }
}

/** Sockets that the server believes to be open, and nobody has. */
async function haunted(
  server: Server,
  room: string,
  watchers: Watcher[],
  deadline: number,
): Promise<string | undefined> {
  const open = watchers.filter(({ habits }) => habits.room === room).length;
  for (;;) {
    const { connections } = await get<{ connections: number }>(server, `/api/v1/ws/health?room=${room}`);
    if (connections === open) return undefined;
    if (performance.now() > deadline) return `${room}: ${connections} connections, and only ${open} clients`;
    await sleep(100);
  }
}
