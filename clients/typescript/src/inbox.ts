// What one connection has of the rooms it hears, and how often it says so.

import type { Cursor, Message } from "./messages.ts";
import { Position } from "./position.ts";
import { cursorOf, type Place } from "./protocol.ts";
import { type Change, Subscriptions } from "./subscriptions.ts";
import { NEVER } from "./time.ts";

/** News is confirmed and stored after this time, or after so many messages. */
const SETTLE_MS = 1_000;
const SETTLE_COUNT = 100;

/** Heard by every general connection, without subscribing. */
const SYSTEM = "system:all";

/** How far one is in a room. */
export interface Progress {
  room: string;
  seq: number;
  cursor: Cursor | undefined;
  isOwn: boolean;
}

export class Inbox {
  readonly subscriptions: Subscriptions = new Subscriptions();
  #own = new Position();
  #ownRoom: string | undefined;
  #system = new Position();
  readonly #unsettled = new Set<string>();
  #count = 0;
  #settleAt = NEVER;

  get cursor(): Cursor | undefined {
    return this.#own.cursor;
  }

  get deadline(): number {
    return Math.min(this.#settleAt, this.#own.deadline);
  }

  /** Goes on from what was stored. */
  restore(room: string, cursor: Cursor): void {
    if (this.#own.floor !== undefined) return;
    this.#ownRoom = room;
    this.#own = new Position(cursor);
  }

  /** The server cannot go on from where this was in its own room. */
  lose(): void {
    this.#own.lose();
  }

  /** The connection is open. Whether something of its own room was lost. */
  welcome(room: string, place: Place, now: number): boolean {
    if (this.#ownRoom !== undefined && this.#ownRoom !== room) this.#own = new Position();
    this.#ownRoom = room;
    const isLost = this.#own.begin(place);
    this.#settleLater(room, now);
    return isLost;
  }

  /** A new place: in a room that was subscribed to, or, unasked, in its own or the one for everybody. */
  subscribed(room: string, place: Place, now: number): Change[] {
    this.#settleLater(room, now);
    if (this.subscriptions.position(room)) return this.subscriptions.subscribed(room, place);
    const isLost = this.#position(room)?.begin(place);
    return isLost ? [{ room, status: "live", reset: cursorOf(place) }] : [];
  }

  /** Whether the message is news, and of a room that is heard. */
  take({ room, seq }: Message, now: number): boolean {
    const position = this.#position(room);
    if (!position) return false;
    if (seq === undefined) return true;
    if (!position.take(seq, now)) return false;
    this.#settleLater(room, now);
    return true;
  }

  /** Its own room has this one too: what was sent from here does not come back. */
  count(seq: number, now: number): void {
    if (this.#own.take(seq, now) && this.#ownRoom) this.#settleLater(this.#ownRoom, now);
  }

  /** Whether its own room has a hole that only a new connection fills. */
  isStuck(now: number): boolean {
    return this.#own.isStuck(now);
  }

  /** How far it is in the rooms that moved, once enough has come together. */
  settle(now: number, atOnce = false): Progress[] {
    if (!atOnce && this.#count < SETTLE_COUNT && now < this.#settleAt) return [];
    const moved = [...this.#unsettled].flatMap((room) => this.#progress(room));
    this.#unsettled.clear();
    this.#count = 0;
    this.#settleAt = NEVER;
    return moved;
  }

  /** A confirmation did not arrive. */
  unsettle(now: number): void {
    if (this.#ownRoom) this.#settleLater(this.#ownRoom, now);
  }

  #settleLater(room: string, now: number): void {
    this.#unsettled.add(room);
    this.#count += 1;
    this.#settleAt = Math.min(this.#settleAt, now + SETTLE_MS);
  }

  #progress(room: string): Progress[] {
    const position = this.#position(room);
    if (position?.floor === undefined) return [];
    return [{ room, seq: position.floor, cursor: position.cursor, isOwn: room === this.#ownRoom }];
  }

  #position(room: string): Position | undefined {
    if (room === this.#ownRoom) return this.#own;
    if (room === SYSTEM) return this.#system;
    return this.subscriptions.hears(room);
  }
}
