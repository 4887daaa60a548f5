// Drives the state machine on a clock of its own: nothing here waits.

import type { Effect, Input, Settings } from "../../src/effects.ts";
import { Machine } from "../../src/machine.ts";
import { Outbox } from "../../src/outbox.ts";
import type { OutboxOptions } from "../../src/types.ts";

export const EPOCH = "5f0c3a9be1d27748";
export const OTHER_EPOCH = "00c2f7716ab90e35";
export const ROOM = "user:ana";

type Of<T extends Effect["type"]> = Extract<Effect, { type: T }>;

interface DriverOptions extends Partial<Omit<Settings, "outbox">> {
  outbox?: OutboxOptions;
  random?: () => number;
}

export class Driver {
  now = 1_000_000;
  /** By how much the time of day differs. */
  skew = 0;
  readonly machine: Machine;
  #effects: Effect[] = [];

  constructor({ outbox, random = () => 0.5, ...settings }: DriverOptions = {}) {
    const all = { query: {}, acks: false, maxDelayMs: 30_000, ...settings, outbox: new Outbox(outbox) };
    this.machine = new Machine(all, random);
  }

  get wall(): number {
    return this.now + this.skew;
  }

  /** What came of it, and of nothing before. */
  feed(input: Input): Effect[] {
    this.#effects = this.machine.handle(input, this.now, this.wall);
    return this.#effects;
  }

  frame(type: string, data: unknown, rest: object = {}): Effect[] {
    return this.feed({ type: "frame", text: JSON.stringify({ type, data, ...rest }) });
  }

  message(room: string, seq: number | undefined, rest: object = {}): Effect[] {
    return this.frame("news", {}, { id: `m${seq}`, timestamp: "t", room, seq, ...rest });
  }

  /** Lets the time pass, with a tick at each deadline. */
  pass(ms: number): Effect[] {
    const end = this.now + ms;
    const all: Effect[] = [];
    for (let due = this.machine.deadline; due !== undefined && due <= end; due = this.machine.deadline) {
      this.now = Math.max(this.now, due);
      all.push(...this.machine.handle({ type: "tick" }, this.now, this.wall));
      if (all.length > 10_000) throw new Error("it does not come to rest");
    }
    this.now = end;
    this.#effects = all;
    return all;
  }

  /** Lets the time pass on a connection whose other end answers. */
  live(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.pass(Math.min(5_000, end - this.now));
      this.frame("pong", {});
    }
  }

  /** Breaks, and waits until it dials again. */
  lose(code = 1006, reason = ""): Effect[] {
    this.feed({ type: "closed", code, reason });
    const { state } = this.machine;
    return this.pass(state.status === "waiting" ? state.retryAt - this.wall : 0);
  }

  /** From asking for a connection to the welcome. */
  open(data: object = {}): Effect[] {
    this.feed({ type: "connect" });
    this.feed({ type: "token", token: "t1" });
    return this.welcome(data);
  }

  welcome(data: object = {}): Effect[] {
    return this.frame("connection_established", {
      connection_id: "c1",
      room: ROOM,
      epoch: EPOCH,
      seq: 0,
      reconnect_within_ms: 1_000,
      ...data,
    });
  }

  /** Breaks, and is welcomed back. */
  comeBack(data: object = {}): Effect[] {
    this.lose();
    return this.welcome(data);
  }

  subscribed(room: string, seq: number, rest: object = {}): Effect[] {
    return this.frame("subscribed", { room, epoch: EPOCH, seq, ...rest });
  }

  get status(): string {
    return this.machine.state.status;
  }
}

export function only<T extends Effect["type"]>(type: T, effects: Effect[]): Of<T>[] {
  return effects.filter((effect): effect is Of<T> => effect.type === type);
}

/** The frames that go out. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into frames of many shapes
export function sent(effects: Effect[]): any[] {
  return only("transmit", effects).map(({ data }) => (typeof data === "string" ? JSON.parse(data) : data));
}

export const types = (effects: Effect[]): string[] => effects.map(({ type }) => type);

/** The numbers of the messages that come out. */
export const seqs = (effects: Effect[]): (number | undefined)[] =>
  only("message", effects).map(({ message }) => message.seq);
