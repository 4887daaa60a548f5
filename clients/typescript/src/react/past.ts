// What was said before a page came, and after messages were lost: its owner knows where to load that from.

import type { Message } from "../messages.ts";

/** Loads what the room's log has, or its newest part. */
export type History = () => Promise<readonly Message[]>;

/** Loads once the room is live and again after a loss; a result that another loss has overtaken is thrown away. */
export class Past {
  #turn = 0;
  #isLoaded = false;
  readonly #taken: (messages: readonly Message[], isAgain: boolean) => void;
  readonly #failed: (error: unknown) => void;

  constructor(taken: (messages: readonly Message[], isAgain: boolean) => void, failed: (error: unknown) => void) {
    this.#taken = taken;
    this.#failed = failed;
  }

  live(load: History | undefined): void {
    if (load && !this.#isLoaded) this.#load(load, false);
  }

  lost(load: History | undefined): void {
    if (load) this.#load(load, true);
  }

  reset(): void {
    this.#turn += 1;
    this.#isLoaded = false;
  }

  async #load(load: History, isAgain: boolean): Promise<void> {
    this.#isLoaded = true;
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const messages = await load();
      if (turn === this.#turn) this.#taken(messages, isAgain);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#isLoaded = false;
      this.#failed(error);
    }
  }
}
