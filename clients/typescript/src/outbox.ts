// Frames that have to arrive: they wait here until the server has confirmed each by its id.

import type { OutboxOptions } from "./types.ts";

export interface Item {
  readonly id: string;
  readonly type: string;
  readonly text: string;
  readonly bytes: number;
}

/** What is under way at once: more would only meet the server's rate limit. */
const MAX_IN_FLIGHT = 20;

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export class Outbox {
  /** In the order in which they were given, which is the order in which they go out. */
  readonly #items = new Map<string, Item>();
  /** Sent on this connection, and not confirmed yet. */
  readonly #inFlight = new Set<string>();
  /** Sent on any connection. */
  readonly #sent = new Set<string>();
  readonly #options: Required<OutboxOptions>;
  #bytes = 0;
  #pausedUntil = 0;
  #pauses = 0;

  constructor({ maxFrames = 1_000, maxBytes = 4_194_304, whenFull = "reject" }: OutboxOptions = {}) {
    this.#options = { maxFrames, maxBytes, whenFull };
  }

  /** When to go on sending, if it pauses. */
  get deadline(): number {
    return this.#items.size > 0 && this.#pausedUntil > 0 ? this.#pausedUntil : Number.POSITIVE_INFINITY;
  }

  has(id: string): boolean {
    return this.#items.has(id);
  }

  /** Takes a frame, or not; what had to go for it comes back. The same id is the same frame. */
  add(item: Item): { taken: boolean; dropped: Item[] } {
    const dropped: Item[] = [];
    if (this.#items.has(item.id)) return { taken: true, dropped };
    if (!this.#fits(item) && this.#options.whenFull === "drop-oldest") {
      for (const oldest of this.#items.values()) {
        if (this.#fits(item)) break;
        dropped.push(oldest);
        this.remove(oldest.id);
      }
    }
    const taken = this.#fits(item);
    if (taken) this.#put(item);
    return { taken, dropped };
  }

  /** Frees the place of a frame: it was confirmed, refused or taken back. */
  remove(id: string): Item | undefined {
    const item = this.#items.get(id);
    if (!item) return undefined;
    this.#items.delete(id);
    this.#inFlight.delete(id);
    this.#sent.delete(id);
    this.#bytes -= item.bytes;
    return item;
  }

  confirmed(id: string): boolean {
    this.#pauses = 0;
    return this.remove(id) !== undefined;
  }

  /** The frame that a refusal is about: it names it, or it is the oldest of its type that was sent. */
  refused(id: unknown, type: string | undefined): Item | undefined {
    for (const key of this.#inFlight) {
      const item = this.#items.get(key);
      if (id === key || (typeof id !== "string" && item?.type === type)) return item;
    }
    return undefined;
  }

  /** Takes a frame back. Whether it may have arrived all the same, now or on an earlier connection. */
  withdraw(id: string): boolean {
    const wasSent = !this.#items.has(id) || this.#sent.has(id);
    this.remove(id);
    return wasSent;
  }

  wasSent(id: string): boolean {
    return this.#inFlight.has(id);
  }

  /** What goes out now. */
  next(now: number): Item[] {
    if (now < this.#pausedUntil) return [];
    this.#pausedUntil = 0;
    const items: Item[] = [];
    for (const item of this.#items.values()) {
      if (this.#inFlight.size >= MAX_IN_FLIGHT) break;
      if (this.#inFlight.has(item.id)) continue;
      this.#inFlight.add(item.id);
      this.#sent.add(item.id);
      items.push(item);
    }
    return items;
  }

  /** The server wants less: all that is unconfirmed goes again, later. Each has its id, so nothing comes twice. */
  pause(now: number, ms: number | undefined): void {
    const own = Math.min(FIRST_PAUSE_MS * 2 ** this.#pauses, LONGEST_PAUSE_MS);
    this.#pauses += 1;
    this.#pausedUntil = now + (ms ?? own);
    this.#inFlight.clear();
  }

  /** The connection is gone: what was not confirmed is sent again on the next. */
  rewind(): void {
    this.#inFlight.clear();
    this.#pausedUntil = 0;
  }

  clear(): Item[] {
    const items = [...this.#items.values()];
    for (const { id } of items) this.remove(id);
    return items;
  }

  #fits({ bytes }: Item): boolean {
    return this.#items.size < this.#options.maxFrames && this.#bytes + bytes <= this.#options.maxBytes;
  }

  #put(item: Item): void {
    this.#items.set(item.id, item);
    this.#bytes += item.bytes;
  }
}
