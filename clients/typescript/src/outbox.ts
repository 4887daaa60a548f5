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

const UNREAD = ["INVALID_JSON", "TOO_LARGE"];

/** What has no answer by then is sent again, under its id. */
const ANSWER_MS = 10_000;

export class Outbox {
  /** In the order in which they were given, which is the order in which they go out. */
  readonly #items = new Map<string, Item>();
  /** Sent on this connection, and not confirmed yet. One at a time: what is refused for now is not overtaken. */
  #inFlight: string | undefined;
  readonly #options: Required<OutboxOptions>;
  readonly #encoder = new TextEncoder();
  #bytes = 0;
  /** Until then it pauses, or waits for an answer. */
  #waitsUntil = 0;
  #pauses = 0;

  constructor({ maxFrames = 1_000, maxBytes = 4_194_304, whenFull = "reject" }: OutboxOptions = {}) {
    this.#options = { maxFrames, maxBytes, whenFull };
  }

  /** When to send next, if nothing comes before. */
  get deadline(): number {
    return this.#items.size > 0 ? this.#waitsUntil : NEVER;
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
   * frame, or means the one that is under way.
   */
  refused(id: unknown, refusal: Refusal, now: number): Effect[] | undefined {
    const item = this.#find(id, refusal);
    if (refusal.retry && (item || refusal.code === "RATE_LIMIT")) this.#pause(now, refusal.retry_after_ms);
    if (!item) return undefined;
    if (refusal.retry) return [];
    this.#remove(item.id);
    return [failed(item.id, refusal)];
  }

  /** On whatever connection. */
  wasSent(id: string): boolean {
    return this.#items.get(id)?.wasSent === true;
  }

  /** What goes out now. */
  next(now: number): string | undefined {
    const [item] = this.#items.values();
    if (!item || now < this.#waitsUntil) return undefined;
    this.#inFlight = item.id;
    this.#waitsUntil = now + ANSWER_MS;
    item.wasSent = true;
    return item.text;
  }

  /** The connection is gone: what was not confirmed is sent again on the next. */
  rewind(): void {
    this.#inFlight = undefined;
    this.#waitsUntil = 0;
  }

  /** There will be no connection. */
  clear(error: RealtimeError): Effect[] {
    const ids = [...this.#items.keys()];
    for (const id of ids) this.#remove(id);
    return ids.map((id) => ({ type: "failed", id, error }));
  }

  /** The server wants less: what is unconfirmed goes again, later. It has its id, so nothing comes twice. */
  #pause(now: number, ms: number | undefined): void {
    this.#waitsUntil = now + (ms ?? pauseAfter(this.#pauses));
    this.#pauses += 1;
    this.#inFlight = undefined;
  }

  /** What the server could not read it cannot name: that is the one under way, since nothing else is of any shape. */
  #find(id: unknown, { original_type = "", code }: Refusal): Item | undefined {
    if (typeof id === "string") return this.#items.get(id);
    const item = this.#items.get(this.#inFlight ?? "");
    const isUnread = original_type === "" && UNREAD.includes(code);
    return isUnread || item?.kind === original_type ? item : undefined;
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
    if (this.#inFlight === id) this.rewind();
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
