// Frames that have to arrive: they wait here until the server has confirmed each by its id.

import type { Effect } from "./effects.ts";
import { RealtimeError, type Refusal } from "./errors.ts";
import { MAX_FRAME_BYTES } from "./protocol.ts";
import { NEVER, pauseAfter } from "./time.ts";
import type { OutboxOptions } from "./types.ts";

interface Item {
  readonly id: string;
  readonly kind: string;
  readonly text: string;
  readonly bytes: number;
  /** On any connection. */
  wasSent: boolean;
}

/** What is under way at once: more would only meet the server's rate limit. */
const MAX_IN_FLIGHT = 20;

export class Outbox {
  /** In the order in which they were given, which is the order in which they go out. */
  readonly #items = new Map<string, Item>();
  /** Sent on this connection, and not confirmed yet. */
  readonly #inFlight = new Set<string>();
  readonly #options: Required<OutboxOptions>;
  readonly #encoder = new TextEncoder();
  #bytes = 0;
  #pausedUntil = 0;
  #pauses = 0;

  constructor({ maxFrames = 1_000, maxBytes = 4_194_304, whenFull = "reject" }: OutboxOptions = {}) {
    this.#options = { maxFrames, maxBytes, whenFull };
  }

  /** When to go on sending, if it pauses. */
  get deadline(): number {
    return this.#items.size > 0 && this.#pausedUntil > 0 ? this.#pausedUntil : NEVER;
  }

  /** Takes a frame, or says what had to go, or why not. The same id is the same frame. */
  send(id: string, kind: string, text: string): Effect[] {
    if (this.#items.has(id)) return [];
    const bytes = this.#encoder.encode(text).length;
    if (bytes > MAX_FRAME_BYTES) return [failed(id, { code: "TOO_LARGE", message: "A frame holds up to 1 MiB." })];
    const effects = this.#options.whenFull === "drop-oldest" ? this.#makeRoom(bytes) : [];
    if (!this.#fits(bytes)) {
      return [...effects, failed(id, { code: "OUTBOX_FULL", message: "Too much waits.", retry: true })];
    }
    this.#items.set(id, { id, kind, text, bytes, wasSent: false });
    this.#bytes += bytes;
    return effects;
  }

  /** Takes a frame back. It may have arrived all the same, if it was sent, now or on an earlier connection. */
  withdraw(id: string): Effect[] {
    const item = this.#remove(id);
    return [{ type: "withdrawn", id, wasSent: item === undefined || item.wasSent }];
  }

  confirmed(id: string, seq: number, duplicate: boolean): Effect[] {
    this.#pauses = 0;
    return this.#remove(id) ? [{ type: "confirmed", id, seq, duplicate }] : [];
  }

  /**
   * A frame was refused: it goes again later, or not at all. Nothing, if the refusal is of no concern here. It names the
   * frame, or means the oldest of its type that was sent.
   */
  refused(id: unknown, refusal: Refusal, now: number): Effect[] | undefined {
    const item = this.#find(id, refusal.original_type);
    if (refusal.retry && (item || refusal.code === "RATE_LIMIT")) this.#pause(now, refusal.retry_after_ms);
    if (!item) return undefined;
    if (refusal.retry) return [];
    this.#remove(item.id);
    return [failed(item.id, refusal)];
  }

  wasSent(id: string): boolean {
    return this.#inFlight.has(id);
  }

  /** What goes out now. */
  next(now: number): string[] {
    if (now < this.#pausedUntil) return [];
    this.#pausedUntil = 0;
    const texts: string[] = [];
    for (const item of this.#items.values()) {
      if (this.#inFlight.size >= MAX_IN_FLIGHT) break;
      if (this.#inFlight.has(item.id)) continue;
      this.#inFlight.add(item.id);
      item.wasSent = true;
      texts.push(item.text);
    }
    return texts;
  }

  /** The connection is gone: what was not confirmed is sent again on the next. */
  rewind(): void {
    this.#inFlight.clear();
    this.#pausedUntil = 0;
  }

  /** There will be no connection. */
  clear(error: RealtimeError): Effect[] {
    const ids = [...this.#items.keys()];
    for (const id of ids) this.#remove(id);
    return ids.map((id) => ({ type: "failed", id, error }));
  }

  /** The server wants less: all that is unconfirmed goes again, later. Each has its id, so nothing comes twice. */
  #pause(now: number, ms: number | undefined): void {
    this.#pausedUntil = now + (ms ?? pauseAfter(this.#pauses));
    this.#pauses += 1;
    this.#inFlight.clear();
  }

  #find(id: unknown, kind: string | undefined): Item | undefined {
    for (const key of this.#inFlight) {
      const item = this.#items.get(key);
      if (id === key || (typeof id !== "string" && item?.kind === kind)) return item;
    }
    return undefined;
  }

  #makeRoom(bytes: number): Effect[] {
    const effects: Effect[] = [];
    for (const { id, kind } of this.#items.values()) {
      if (this.#fits(bytes)) break;
      this.#remove(id);
      effects.push({ type: "dropped", id, kind });
      effects.push(failed(id, { code: "OUTBOX_FULL", message: "It had to go for what came later." }));
    }
    return effects;
  }

  #remove(id: string): Item | undefined {
    const item = this.#items.get(id);
    this.#items.delete(id);
    this.#inFlight.delete(id);
    this.#bytes -= item?.bytes ?? 0;
    return item;
  }

  #fits(bytes: number): boolean {
    return this.#items.size < this.#options.maxFrames && this.#bytes + bytes <= this.#options.maxBytes;
  }
}

function failed(id: string, refusal: ConstructorParameters<typeof RealtimeError>[0]): Effect {
  return { type: "failed", id, error: new RealtimeError(refusal) };
}
