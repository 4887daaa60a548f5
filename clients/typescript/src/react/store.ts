// What a hook shows: a snapshot that is replaced by each change, and is kept alive by those who look at it.

import type { Unsubscribe } from "../types.ts";

/** What comes within this time is shown together: about one frame of the screen. */
const FRAME_MS = 16;
/** What nobody looks at any more is kept so long: React often takes again what it has just let go. */
const LINGER_MS = 1_000;

export abstract class Store<S> {
  readonly #listeners = new Set<() => void>();
  #snapshot: S | undefined;
  #frame: ReturnType<typeof setTimeout> | undefined;
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
    this.reset();
  }
}
