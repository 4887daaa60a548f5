// What a hook shows: a snapshot that is replaced by each change, and is kept alive by those who look at it.

import type { Unsubscribe } from "../types.ts";

/** What comes within this time is shown together: about one frame of the screen. */
const FRAME_MS = 16;
/** What was missed comes in pages, one so soon after another. */
const PAGE_MS = 100;
/** After this time what was missed is shown though more of it comes. */
const REPLAY_MS = 1_000;
/** So many in that time are no news: more of what was missed follows. */
const MANY = 500;
/** What nobody looks at any more is kept so long: React often takes again what it has just let go. */
const LINGER_MS = 1_000;

export abstract class Store<S> {
  readonly #listeners = new Set<() => void>();
  #snapshot: S | undefined;
  #frame: ReturnType<typeof setTimeout> | undefined;
  #replayEnds = Number.NEGATIVE_INFINITY;
  #replayed = 0;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #ends: Unsubscribe[] | undefined;

  /** Begins to listen, and returns what ends that. */
  protected abstract open(): Unsubscribe[];
  /** Forgets everything, as if it were new. */
  protected abstract reset(): void;
  protected abstract build(): S;

  /** The same object until something changes. */
  readonly snapshot = (): S => {
    this.#snapshot ??= this.build();
    return this.#snapshot;
  };

  readonly subscribe = (listener: () => void): Unsubscribe => {
    this.#listeners.add(listener);
    this.wake();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#leave();
    };
  };

  /** Opens what it shows, if it is not open. Whoever only calls it has it for a moment. */
  protected wake(): void {
    clearTimeout(this.#linger);
    if (!this.#ends) {
      this.#ends = this.open();
      this.flush();
    }
    if (this.#listeners.size === 0) this.#leave();
  }

  /** Shows what has changed, soon and together with what comes until then. */
  protected changed(): void {
    this.#frame ??= setTimeout(() => this.flush(), FRAME_MS);
  }

  /** From now on comes what was missed, if anything was. */
  protected connected(): void {
    this.#replayEnds = performance.now() + REPLAY_MS;
    this.#replayed = 0;
  }

  /** Shows what was added: soon, or once all is there that was missed. No frame says that, but a pause does. */
  protected added(): void {
    const late = performance.now() - this.#replayEnds;
    if (late >= 0 && late < PAGE_MS && this.#replayed >= MANY) this.connected();
    const rest = this.#replayEnds - performance.now();
    if (rest <= 0) {
      this.changed();
      return;
    }
    this.#replayed += 1;
    clearTimeout(this.#frame);
    this.#frame = setTimeout(() => this.flush(), Math.min(PAGE_MS, rest));
  }

  /** Shows what has changed, now. */
  protected flush(): void {
    clearTimeout(this.#frame);
    this.#frame = undefined;
    this.#snapshot = this.build();
    for (const listener of [...this.#listeners]) listener();
  }

  #leave(): void {
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => this.#close(), LINGER_MS);
  }

  #close(): void {
    clearTimeout(this.#frame);
    this.#frame = undefined;
    for (const end of this.#ends?.splice(0).reverse() ?? []) end();
    this.#ends = undefined;
    this.#snapshot = undefined;
    this.#replayEnds = Number.NEGATIVE_INFINITY;
    this.reset();
  }
}
