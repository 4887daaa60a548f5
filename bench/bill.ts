// What the platform would charge for, as the tests' own build counts it.

import { setTimeout as sleep } from "node:timers/promises";
import { routeOf } from "../miniflare-tests/support/ledger.ts";
import type { Message } from "../miniflare-tests/support/publisher.ts";
import type { Server } from "../miniflare-tests/support/runtime.ts";

export interface Bill {
  rows_read: number;
  rows_written: number;
  requests: number;
  frames_in: number;
}

/** The alarm that stands behind a timer is due a second later. */
const ALARM_MS = 1_500;

/** What was counted since this was last asked, once what is under way has been counted too. */
export async function bill(server: Server): Promise<Bill> {
  await sleep(ALARM_MS);
  return (await fetch(server.url("/fault/meter"))).json() as Promise<Bill>;
}

/** Publishes one message, or several as an array. */
export async function post(server: Server, room: string, messages: Message[]): Promise<void> {
  const body = JSON.stringify(messages.length === 1 ? messages[0] : messages);
  const url = server.url(`${routeOf(room)}/messages`);
  const response = await fetch(url, { method: "POST", headers: service(server), body });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
}

export function service(server: Server): { authorization: string } {
  return { authorization: `Bearer ${server.token({ sub: "backend", role: "service" })}` };
}
