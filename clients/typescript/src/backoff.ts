// How long to wait before coming back: a random time, up to a bound that doubles with each failure.

/** Up to here the first wait goes, if no server has said how many come back together with this client. */
const WINDOW_MS = 1_000;

export class Backoff {
  #failures = 0;
  #window = WINDOW_MS;
  readonly #max: number;
  readonly #random: () => number;

  /** `max` is the largest bound, unless a server advertises a larger window. */
  constructor(max: number, random: () => number) {
    this.#max = max;
    this.#random = random;
  }

  get attempt(): number {
    return this.#failures;
  }

  /** The time over which the server wants its clients to come back. */
  advertise(ms: unknown): void {
    if (typeof ms === "number" && ms > 0) this.#window = ms;
  }

  /** The next wait: all of the time up to the bound is equally likely, so that no two waves meet. */
  next(factor = 1): number {
    const bound = Math.min(this.#max, this.#window * 2 ** this.#failures);
    this.#failures += 1;
    return this.#random() * Math.max(this.#window, bound) * factor;
  }

  reset(): void {
    this.#failures = 0;
  }
}
