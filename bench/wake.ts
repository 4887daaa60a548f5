// What it costs to load a room with a long log and many members, who are away, for one of them who returns.

import { setTimeout as sleep } from "node:timers/promises";
import { routeOf } from "../miniflare-tests/support/ledger.ts";
import type { Server } from "../miniflare-tests/support/runtime.ts";
import { TestWorker } from "../miniflare-tests/support/worker.ts";
import { say } from "../scripts/project.mjs";
import { type Bill, bill, post, service } from "./bill.ts";
import { Crowd } from "./crowd.ts";
import { Table } from "./print.ts";

const ROOM = "investigation:wake";
const MISSED = 10;

export async function wake(build: string, members: number, log: number): Promise<void> {
  say("wake");
  await using worker = await TestWorker.start({ build });
  const crowd = await Crowd.gather(worker, ROOM, members, "watch");
  crowd.leave();
  await empty(worker);
  for (let n = 0; n < log / 100; n++) await post(worker, ROOM, hundred(n));
  const epoch = await epochOf(worker);
  const cursor = await loadFor(worker, `?epoch=${epoch}&since=${log - MISSED}`);
  const none = await loadFor(worker, "");
  const row = ({ rows_read, rows_written, requests }: Bill) => [rows_read, rows_written, requests];
  console.log();
  const table = new Table(`a room of ${members} members wakes`, ["rows read", "rows written", "requests"]);
  table.row(`for a cursor, ${MISSED} missed`, row(cursor));
  table.row(`for no cursor, ${log} missed`, row(none));
}

/** The room is put to sleep, and a member comes back to it. */
async function loadFor(worker: TestWorker, query: string): Promise<Bill> {
  await worker.evict(ROOM);
  await bill(worker);
  const returning = await Crowd.gather(worker, ROOM, 1, "watch", query);
  await returning.quiet();
  const cost = await bill(worker);
  returning.leave();
  await empty(worker);
  return cost;
}

/** Waits until the room knows that they have left. */
async function empty(server: Server): Promise<void> {
  const url = server.url(`/api/v1/ws/health?room=${ROOM}`);
  for (;;) {
    const health = (await (await fetch(url, { headers: service(server) })).json()) as { connections: number };
    if (health.connections === 0) return;
    await sleep(100);
  }
}

async function epochOf(server: Server): Promise<string> {
  const url = server.url(`${routeOf(ROOM)}/messages?limit=1`);
  const history = (await (await fetch(url, { headers: service(server) })).json()) as { epoch: string };
  return history.epoch;
}

function hundred(n: number) {
  return Array.from({ length: 100 }, (_, m) => ({ type: "step", id: `m-${n}-${m}`, data: { text: "x".repeat(250) } }));
}
