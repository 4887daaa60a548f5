// Whether the other end is still there: a ping now and then, and something has to come back.

import { NEVER } from "./time.ts";

const PING_MS = 25_000;
const PONG_MS = 10_000;
/** With bytes of a file on their way, which the ping waits behind. */
const BUSY_MS = 30_000;

export class Liveness {
  #pingAt = NEVER;
  #deadAt = NEVER;
  /** For how long nothing may come after a ping. */
  #patience = PONG_MS;

  get deadline(): number {
    return Math.min(this.#deadAt, this.#pingAt);
  }

  begin(now: number): void {
    this.#pingAt = now + PING_MS;
    this.heard();
  }

  end(): void {
    this.#pingAt = this.#deadAt = NEVER;
  }

  /** Any frame is a sign of life. */
  heard(): void {
    this.#deadAt = NEVER;
    this.#patience = PONG_MS;
  }

  /** Bytes of a file are on their way, until something comes back. */
  busy(): void {
    this.#patience = BUSY_MS;
  }

  /** Look now rather than later. */
  probe(now: number): void {
    if (this.#pingAt !== NEVER && this.#deadAt === NEVER) this.#pingAt = now;
  }

  /** What is to be done by now. */
  due(now: number): "dead" | "ping" | undefined {
    if (now >= this.#deadAt) return "dead";
    if (now < this.#pingAt) return undefined;
    this.#pingAt = now + PING_MS;
    this.#deadAt = Math.min(this.#deadAt, now + this.#patience);
    return "ping";
  }
}
