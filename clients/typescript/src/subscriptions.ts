// The rooms that one connection hears beside its own, and what is under way to change that.

import { RealtimeError, type Refusal } from "./errors.ts";
import type { Cursor } from "./messages.ts";
import { Position } from "./position.ts";
import { type Place, subscribe, unsubscribe } from "./protocol.ts";
import type { RoomStatus } from "./types.ts";

/** After so long without an answer it is asked again. */
const ANSWER_MS = 10_000;
/** What was given back is kept so long: pages often take again what they have just let go. */
const LINGER_MS = 1_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

interface Subscription {
  readonly room: string;
  position: Position;
  status: RoomStatus;
  /** When it is to be asked for, if it is not yet. */
  askAt: number;
  /** Since when an answer is awaited. */
  askedAt: number | undefined;
  releaseAt: number | undefined;
}

/** What became of a room. */
export interface Change {
  room: string;
  status: RoomStatus;
  error?: RealtimeError;
  /** Messages are lost, and this is a new beginning. */
  reset?: Cursor;
}

export class Subscriptions {
  readonly #rooms = new Map<string, Subscription>();
  /** How many `unsubscribed` are still to come, by room. */
  readonly #leaving = new Map<string, number>();
  /** Refusals do not name the room: they are kept until it is clear whose they are. */
  #refusals: Refusal[] = [];
  /** Whether rooms are asked for one at a time, so that a refusal belongs to that one. */
  #isCareful = false;
  #pauses = 0;

  /** When something is to be done. Without a connection only what was given back has a time. */
  deadline(isConnected: boolean): number {
    const isAsking = !this.#isCareful || this.#awaited().length === 0;
    let earliest = Number.POSITIVE_INFINITY;
    for (const { releaseAt, askedAt, askAt, status, position } of this.#rooms.values()) {
      earliest = Math.min(earliest, releaseAt ?? earliest);
      if (!isConnected) continue;
      if (askedAt !== undefined) earliest = Math.min(earliest, askedAt + ANSWER_MS);
      else if (status === "pending" && isAsking) earliest = Math.min(earliest, askAt);
      else if (status === "live") earliest = Math.min(earliest, position.deadline ?? earliest);
    }
    return earliest;
  }

  position(room: string): Position | undefined {
    return this.#rooms.get(room)?.position;
  }

  /** The position that a message of the room is to be held against; none, if it is of a subscription that ends. */
  hears(room: string): Position | undefined {
    const position = this.#leaving.has(room) ? undefined : this.position(room);
    return position?.floor === undefined ? undefined : position;
  }

  /** Hears the room, from the cursor on. What is known of it at once: somebody may have it already. */
  want(room: string, cursor: Cursor | undefined, now: number): Change[] {
    const known = this.#rooms.get(room);
    if (!known) {
      this.#rooms.set(room, {
        room,
        position: new Position(cursor),
        status: "pending",
        askAt: now,
        askedAt: undefined,
        releaseAt: undefined,
      });
      return [];
    }
    known.releaseAt = undefined;
    if (cursor && known.position.cursor && known.position.rewind(cursor)) {
      Object.assign(known, { status: "pending", askAt: now, askedAt: undefined });
    }
    return [{ room, status: known.status }];
  }

  release(room: string, now: number): void {
    const known = this.#rooms.get(room);
    if (known) known.releaseAt = now + LINGER_MS;
  }

  /** The connection is gone, and all subscriptions with it. */
  suspend(): Change[] {
    this.#leaving.clear();
    this.#refusals = [];
    this.#isCareful = false;
    return this.#askAll(0, () => true);
  }

  /** Another token may open what the last one did not. */
  reconsider(now: number): Change[] {
    return this.#askAll(now, ({ status }) => status === "refused");
  }

  /** The frames to send now. Without a connection nothing is asked for, but what was given back still goes. */
  due(now: number, isConnected: boolean): string[] {
    const frames = [...this.#rooms.values()].flatMap((each) => this.#leave(each, now, isConnected));
    if (!isConnected) return frames;
    this.#giveUpWaiting(now);
    this.#mend(now);
    return [...frames, ...this.#ask(now)];
  }

  subscribed(room: string, place: Place, now: number): Change[] {
    const known = this.#rooms.get(room);
    if (!known) return [];
    const isLost = known.position.begin(place);
    Object.assign(known, { status: "live", askedAt: undefined });
    this.#pauses = 0;
    const change: Change = { room, status: "live", ...(isLost && { reset: { epoch: place.epoch, seq: place.seq } }) };
    return [change, ...this.#judge(now)];
  }

  /** Asked for, or a new token does not open the room any more. */
  unsubscribed(room: string): Change[] {
    const expected = this.#leaving.get(room) ?? 0;
    if (expected > 1) this.#leaving.set(room, expected - 1);
    else this.#leaving.delete(room);
    const known = this.#rooms.get(room);
    if (expected > 0 || !known) return [];
    return [this.#refuse(known, { code: "FORBIDDEN", message: "The token does not open this room any more." })];
  }

  /** One of the rooms that were asked for was refused. What is known of it by now. */
  refused(refusal: Refusal, now: number): Change[] {
    this.#refusals.push(refusal);
    return this.#judge(now);
  }

  /** As many refusals as rooms without an answer: then each of them was refused. */
  #judge(now: number): Change[] {
    const awaited = this.#awaited();
    if (this.#refusals.length === 0 || this.#refusals.length < awaited.length) return [];
    return this.#settle(awaited, now);
  }

  /** All who still wait were refused: each knows why, unless the reasons differ and there is more than one. */
  #settle(awaited: Subscription[], now: number): Change[] {
    const [first] = this.#refusals;
    const isClear = awaited.length <= 1 || this.#refusals.every(({ code }) => code === first?.code);
    const wait = Math.max(...this.#refusals.map(({ retry_after_ms = 0 }) => retry_after_ms));
    this.#refusals = [];
    if (isClear && first && !first.retry) return awaited.map((each) => this.#refuse(each, first));
    this.#isCareful ||= !isClear;
    const pause = isClear ? Math.max(wait, this.#pause()) : 0;
    for (const each of awaited) Object.assign(each, { askedAt: undefined, askAt: now + pause });
    return [];
  }

  #pause(): number {
    this.#pauses += 1;
    return Math.min(FIRST_PAUSE_MS * 2 ** (this.#pauses - 1), LONGEST_PAUSE_MS);
  }

  #refuse(known: Subscription, refusal: Pick<Refusal, "code" | "message">): Change {
    Object.assign(known, { status: "refused", askedAt: undefined, askAt: Number.POSITIVE_INFINITY });
    return { room: known.room, status: "refused", error: new RealtimeError(refusal) };
  }

  #awaited(): Subscription[] {
    return [...this.#rooms.values()].filter(({ askedAt }) => askedAt !== undefined);
  }

  #askAll(now: number, which: (subscription: Subscription) => boolean): Change[] {
    const chosen = [...this.#rooms.values()].filter(which);
    for (const each of chosen) Object.assign(each, { status: "pending", askedAt: undefined, askAt: now });
    return chosen.map(({ room }) => ({ room, status: "pending" }));
  }

  /** An answer that has not come by now does not come: the server lost the question. */
  #giveUpWaiting(now: number): void {
    const lost = this.#awaited().filter(({ askedAt = now }) => now >= askedAt + ANSWER_MS);
    for (const each of lost) Object.assign(each, { askedAt: undefined, askAt: now });
    if (lost.length > 0) this.#refusals = [];
  }

  /** A room with a hole is asked for again, from below the hole. */
  #mend(now: number): void {
    for (const each of this.#rooms.values()) {
      if (each.status === "live" && each.position.isStuck(now)) Object.assign(each, { status: "pending", askAt: now });
    }
  }

  #ask(now: number): string[] {
    const limit = this.#isCareful ? 1 - this.#awaited().length : Number.POSITIVE_INFINITY;
    const due = [...this.#rooms.values()].filter((each) => each.status === "pending" && this.#canAsk(each, now));
    const chosen = due.slice(0, Math.max(0, limit));
    for (const each of chosen) each.askedAt = now;
    return chosen.map(({ room, position }) => subscribe(room, position.cursor));
  }

  #canAsk({ askedAt, askAt }: Subscription, now: number): boolean {
    return askedAt === undefined && askAt <= now;
  }

  #leave(each: Subscription, now: number, isConnected: boolean): string[] {
    if (each.releaseAt === undefined || now < each.releaseAt) return [];
    this.#rooms.delete(each.room);
    const wasAsked = each.status === "live" || each.askedAt !== undefined;
    if (!isConnected || !wasAsked) return [];
    this.#leaving.set(each.room, (this.#leaving.get(each.room) ?? 0) + 1);
    return [unsubscribe(each.room)];
  }
}
