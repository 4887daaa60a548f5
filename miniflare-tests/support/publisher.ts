// A backend that publishes, and publishes again under the same ids until it has an answer.

import { setTimeout as sleep } from "node:timers/promises";
import { type Ledger, routeOf } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { Server } from "./runtime.ts";

export interface Message {
  type: string;
  id?: string;
  data?: unknown;
  priority?: string;
  ephemeral?: boolean;
}

interface Taken {
  id: string;
  /** None if the message is not kept. */
  seq?: number;
  duplicate?: boolean;
}

/** How long an answer may take: what takes longer is tried again. */
const PATIENCE_MS = 10_000;
const LONGEST_PAUSE_MS = 400;

export class Publisher {
  requests = 0;
  /** Requests made again, since the one before failed. */
  retries = 0;
  /** Messages that the worker said it had already. */
  duplicates = 0;
  /** Answers that no sound worker gives. */
  readonly faults: string[] = [];
  readonly #server: Server;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #authorization: string;

  constructor(server: Server, ledger: Ledger, random: Random) {
    this.#server = server;
    this.#ledger = ledger;
    this.#random = random;
    this.#authorization = `Bearer ${server.token({ sub: "backend", role: "service" })}`;
  }

  /** Publishes one message or several, which have ids; returns once they are acknowledged. */
  async publish(room: string, messages: Message[]): Promise<void> {
    const body = JSON.stringify(messages.length === 1 ? messages[0] : messages);
    for (let attempt = 0; ; attempt++) {
      if (attempt > 0) this.retries += 1;
      const taken = await this.#post(room, body);
      if (taken) return this.#check(room, messages, taken, attempt);
      await sleep(this.#random.between(0, Math.min(LONGEST_PAUSE_MS, 20 * 2 ** attempt)));
    }
  }

  /** What was taken, or nothing if it is to be tried again. */
  async #post(room: string, body: string): Promise<Taken[] | undefined> {
    this.requests += 1;
    // No answer, or half of one: nobody knows what became of the messages.
    const answer = await this.#ask(room, body).catch(() => undefined);
    if (!answer || answer.status >= 500 || answer.status === 429) return undefined;
    if (answer.status === 200) return answer.body.messages;
    throw new Error(`${room}: ${JSON.stringify(answer.body)}`);
  }

  async #ask(room: string, body: string): Promise<{ status: number; body: { messages: Taken[] } }> {
    const response = await fetch(this.#server.url(`${routeOf(room)}/messages`), {
      method: "POST",
      headers: { authorization: this.#authorization },
      body,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return { status: response.status, body: (await response.json()) as { messages: Taken[] } };
  }

  #check(room: string, messages: Message[], taken: Taken[], attempt: number): void {
    const [asked, answered] = [messages, taken].map((list) => list.map(({ id }) => id).join());
    if (asked !== answered) this.faults.push(`${room}: asked for ${asked}, answered for ${answered}`);
    for (const [n, { id, seq, duplicate = false }] of taken.entries()) {
      if ((seq === undefined) !== (messages[n]?.ephemeral ?? false)) this.faults.push(`${room}: ${id} got ${seq}`);
      if (seq === undefined) continue;
      this.#checkDuplicate(room, id, duplicate, attempt > 0);
      this.#ledger.acknowledge(room, id, seq);
    }
  }

  #checkDuplicate(room: string, id: string, duplicate: boolean, again: boolean): void {
    if (duplicate) this.duplicates += 1;
    const known = this.#ledger.rooms.get(room)?.has(id) ?? false;
    if (duplicate && !again && !known) this.faults.push(`${room}: ${id} is new, and called a duplicate`);
    if (!duplicate && known) this.faults.push(`${room}: ${id} was taken twice`);
  }
}
