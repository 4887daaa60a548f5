// The rooms that one connection hears beside its own, and what is under way to change that.

import { RealtimeError, type Refusal } from "./errors.ts";
import type { Cursor } from "./messages.ts";
import { Position } from "./position.ts";
import { cursorOf, type Place, subscribe, unsubscribe } from "./protocol.ts";
import { NEVER, pauseAfter } from "./time.ts";
import type { RoomStatus } from "./types.ts";

/** After so long without an answer it is asked again. */
const ANSWER_MS = 10_000;
/** What was given back is kept so long: pages often take again what they have just let go. */
const LINGER_MS = 1_000;

interface Subscription {
  readonly room: string;
  readonly position: Position;
  status: RoomStatus;
  /** When it is to be asked for. */
  askAt: number;
  /** When an answer has to be there. */
  answerBy: number;
  /** When it ends. */
  releaseAt: number;
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
  #pauses = 0;

  /** When something is to be done. Without a connection only what was given back has a time. */
  deadline(isConnected: boolean): number {
    const times = this.#all.map(({ releaseAt, answerBy, askAt, status, position }) => {
      if (!isConnected) return releaseAt;
      return Math.min(releaseAt, answerBy, askAt, status === "live" ? position.deadline : NEVER);
    });
    return Math.min(NEVER, ...times);
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
    const each = known ?? {
      room,
      position: new Position(cursor),
      status: "pending",
      askAt: now,
      answerBy: NEVER,
      releaseAt: NEVER,
    };
    this.#rooms.set(room, each);
    each.releaseAt = NEVER;
    // Whoever wants what was refused is told why, or that it is open by now.
    if ((cursor && each.position.rewind(cursor)) || each.status === "refused") mark(each, "pending", now);
    return known ? [{ room, status: each.status }] : [];
  }

  release(room: string, now: number): void {
    const known = this.#rooms.get(room);
    if (known) known.releaseAt = now + LINGER_MS;
  }

  /** The connection is gone, and all subscriptions with it. */
  suspend(): Change[] {
    this.#leaving.clear();
    return askAll(this.#all);
  }

  /** Another token may open what the last one did not. */
  reconsider(): Change[] {
    return askAll(this.#all.filter(({ status }) => status === "refused"));
  }

  /** The frames to send now. Without a connection nothing is asked for, but what was given back still goes. */
  due(now: number, isConnected: boolean): string[] {
    const frames = this.#all
      .filter(({ releaseAt }) => now >= releaseAt)
      .flatMap((each) => this.#leave(each, isConnected));
    if (!isConnected) return frames;
    for (const each of this.#all) this.#mend(each, now);
    return [...frames, ...this.#ask(now)];
  }

  subscribed(room: string, place: Place): Change[] {
    const known = this.#rooms.get(room);
    if (!known) return [];
    const isLost = known.position.begin(place);
    mark(known, "live");
    this.#pauses = 0;
    return [{ room, status: "live", ...(isLost && { reset: cursorOf(place) }) }];
  }

  /** Asked for, or a new token does not open the room any more. */
  unsubscribed(room: string): Change[] {
    const expected = this.#leaving.get(room) ?? 0;
    if (expected > 1) this.#leaving.set(room, expected - 1);
    else this.#leaving.delete(room);
    const known = this.#rooms.get(room);
    if (expected > 0 || !known) return [];
    return [refuse(known, { code: "FORBIDDEN", message: "The token opens it no more." })];
  }

  /** A room that cannot be heard, or not any more, is asked for again later, or not at all. */
  refused(refusal: Refusal, now: number): Change[] {
    const known = this.#rooms.get(refusal.room as string);
    if (!known) return [];
    if (!refusal.retry) return [refuse(known, refusal)];
    mark(known, "pending", now + (refusal.retry_after_ms ?? pauseAfter(this.#pauses++)));
    return [];
  }

  get #all(): Subscription[] {
    return [...this.#rooms.values()];
  }

  /** An answer that has not come by now does not come. A room with a hole is asked for again, from below the hole. */
  #mend(each: Subscription, now: number): void {
    if (now >= each.answerBy || (each.status === "live" && each.position.isStuck(now))) mark(each, "pending", now);
  }

  #ask(now: number): string[] {
    const due = this.#all.filter(({ askAt }) => now >= askAt);
    for (const each of due) mark(each, "pending", NEVER, now + ANSWER_MS);
    return due.map(({ room, position }) => subscribe(room, position.cursor));
  }

  #leave({ room, status, answerBy }: Subscription, isConnected: boolean): string[] {
    this.#rooms.delete(room);
    if (!isConnected || (status !== "live" && answerBy === NEVER)) return [];
    this.#leaving.set(room, (this.#leaving.get(room) ?? 0) + 1);
    return [unsubscribe(room)];
  }
}

function mark(each: Subscription, status: RoomStatus, askAt: number = NEVER, answerBy: number = NEVER): void {
  Object.assign(each, { status, askAt, answerBy });
}

function askAll(all: Subscription[]): Change[] {
  return all.map((each) => {
    mark(each, "pending", 0);
    return { room: each.room, status: "pending" };
  });
}

function refuse(each: Subscription, refusal: Pick<Refusal, "code" | "message">): Change {
  mark(each, "refused");
  return { room: each.room, status: "refused", error: new RealtimeError(refusal) };
}
