// How far one client is in one room, and whether a message is news.

import type { Cursor } from "./messages.ts";
import type { Place } from "./protocol.ts";
import { NEVER } from "./time.ts";

/** How long a message may be overtaken by what is critical. A hole that stays longer is none that fills by itself. */
const HOLE_MS = 5_000;

/** What is kept of what came early. More means that something is lost. */
const MAX_EARLY = 1_000;

export class Position {
  /** Unknown of `system:all`, which nobody subscribes to: then its numbers are all that is known. */
  #epoch: string | undefined;
  /** This one and all before it are here. Known wherever the epoch is. */
  #floor: number | undefined;
  readonly #early = new Set<number>();
  #holeSince = NEVER;

  constructor(cursor?: Cursor) {
    if (cursor) this.#goTo(cursor);
  }

  get cursor(): Cursor | undefined {
    if (this.#epoch === undefined || this.#floor === undefined) return undefined;
    return { epoch: this.#epoch, seq: this.#floor };
  }

  /** This one and all before it are here. */
  get floor(): number | undefined {
    return this.#floor;
  }

  /** When a hole has been there for too long. */
  get deadline(): number {
    return this.#holeSince + HOLE_MS;
  }

  /** Where the server goes on. Whether something is lost in between: then this is a new beginning. */
  begin(place: Place): boolean {
    const { recovered, epoch, seq } = place;
    this.#holeSince = NEVER;
    const isNew = this.#floor === undefined;
    const follows = this.#epoch === epoch && seq <= (this.#floor as number);
    if (follows && recovered !== false) return false;
    this.#goTo(place);
    return !isNew || recovered === false;
  }

  /** Back to an earlier place, or to one at all: what comes after it is wanted once more. */
  rewind(cursor: Cursor): boolean {
    if (cursor.epoch === this.#epoch && cursor.seq >= (this.#floor as number)) return false;
    this.#goTo(cursor);
    return true;
  }

  /** The place is worth nothing any more: whatever comes next is a new beginning. */
  lose(): void {
    this.#epoch = undefined;
  }

  /** Whether the message is news. `now` tells how long a hole has been there. */
  take(seq: number, now: number): boolean {
    this.#floor ??= seq - 1;
    if (seq <= this.#floor || this.#early.has(seq)) return false;
    this.#early.add(seq);
    this.#advance(now);
    return true;
  }

  /** Whether there is a hole that does not fill, so that the room is to be asked again. */
  isStuck(now: number): boolean {
    return this.#early.size > MAX_EARLY || now >= this.deadline;
  }

  #advance(now: number): void {
    let next = (this.#floor as number) + 1;
    while (this.#early.delete(next)) next += 1;
    if (next - 1 !== this.#floor) this.#holeSince = NEVER;
    this.#floor = next - 1;
    if (this.#early.size > 0) this.#holeSince = Math.min(this.#holeSince, now);
  }

  #goTo({ epoch, seq }: Cursor): void {
    this.#epoch = epoch;
    this.#floor = seq;
    this.#early.clear();
    this.#holeSince = NEVER;
  }
}
