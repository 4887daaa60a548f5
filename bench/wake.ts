// What it costs to load a room with a long log and many members, who are away, for one of them who returns.

import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "../miniflare-tests/support/client.ts";
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
  const cursor = await loadFor(worker, "listener-0", MISSED, `?epoch=${epoch}&since=${log - MISSED}`);
  const none = await loadFor(worker, "listener-1", log, "");
  const row = ({ rows_read, rows_written, requests }: Bill) => [rows_read, rows_written, requests];
  console.log();
  const table = new Table(`a room of ${members} members wakes`, ["rows read", "rows written", "requests"]);
  table.row(`for a cursor, ${MISSED} missed`, row(cursor));
  table.row(`for no cursor, ${log} missed`, row(none));
}

/** The room is put to sleep, and a member comes back to it for what it missed. */
async function loadFor(worker: TestWorker, sub: string, missed: number, query: string): Promise<Bill> {
  await worker.evict(ROOM);
  await bill(worker);
  const headers = { authorization: `Bearer ${worker.token({ sub })}` };
  using client = await Client.open(worker.url(routeOf(ROOM) + query, "ws"), ["cidadao.v1"], { headers });
  if (!client.welcome?.data.recovered) throw new Error(`not recovered: ${JSON.stringify(client.welcome)}`);
  for (let come = 0; come < missed; ) come += (await client.next()).messages?.length ?? 1;
  const cost = await bill(worker);
  await client.close();
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
