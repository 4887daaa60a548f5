// Whether the other end is still there: a ping now and then, and something has to come back.

const PING_MS = 25_000;
const PONG_MS = 10_000;

export class Liveness {
  #pingAt: number | undefined;
  #deadAt: number | undefined;

  get deadline(): number {
    return this.#deadAt ?? this.#pingAt ?? Number.POSITIVE_INFINITY;
  }

  begin(now: number): void {
    this.#pingAt = now + PING_MS;
    this.#deadAt = undefined;
  }

  end(): void {
    this.#pingAt = this.#deadAt = undefined;
  }

  /** Any frame is a sign of life. */
  heard(): void {
    this.#deadAt = undefined;
  }

  /** Look now rather than later. */
  probe(now: number): void {
    if (this.#pingAt !== undefined && this.#deadAt === undefined) this.#pingAt = now;
  }

  /** What is to be done by now. */
  due(now: number): "dead" | "ping" | undefined {
    if (this.#deadAt !== undefined) return now >= this.#deadAt ? "dead" : undefined;
    if (this.#pingAt === undefined || now < this.#pingAt) return undefined;
    this.#pingAt = now + PING_MS;
    this.#deadAt = now + PONG_MS;
    return "ping";
  }
}
