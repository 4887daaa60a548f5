// What a room and a chat have in common as components see them: who observes them, and what failed or was lost.

import type { RealtimeError } from "../errors.ts";
import type { Message } from "../messages.ts";
import type { Reset, Unsubscribe } from "../types.ts";
import { asError } from "./failure.ts";
import { type History, Past } from "./past.ts";
import { Store } from "./store.ts";

/** What a component wants to be told beside what it shows. */
export interface Observer {
  readonly history?: History;
  readonly onMessage?: (message: Message) => void;
  readonly onReset?: (reset: Reset) => void;
}

/** The messages that are kept. */
interface Kept {
  keep(limit: number): void;
  cut(): void;
  clear(): void;
}

export abstract class LogStore<S, L extends Kept, O extends Observer> extends Store<S> {
  protected readonly log: L;
  protected readonly past: Past = new Past(
    (messages, isAgain) => this.filled(messages, isAgain),
    (error) => this.failed(error),
  );
  protected error: RealtimeError | undefined;
  protected lost: Reset | undefined;
  readonly #observers = new Set<() => O>();

  constructor(log: L) {
    super();
    this.log = log;
  }

  /** Looks at how the connection is, and at what is wished. */
  protected abstract look(): void;
  /** Takes messages of the history; after a loss (`isAgain`) they replace what there is. */
  protected abstract fill(messages: readonly Message[], isAgain: boolean): void;

  /** `current` gives the newest wishes of a component, for as long as it is there. */
  observe(current: () => O, limit: number): Unsubscribe {
    this.log.keep(limit);
    this.#observers.add(current);
    this.look();
    return () => {
      this.#observers.delete(current);
    };
  }

  protected reset(): void {
    this.error = undefined;
    this.lost = undefined;
    this.log.clear();
    this.past.reset();
  }

  protected failed(error: unknown): void {
    this.error = asError(error);
    this.changed();
  }

  protected lose(reset: Reset): void {
    this.lost = reset;
    this.log.cut();
    this.past.lost(this.history());
    this.changed();
    this.#each(({ onReset }) => onReset?.(reset));
  }

  /** Shows the message that was kept, and hands it on. What no log has is never among what was missed. */
  protected tell(message: Message): void {
    if (message.seq === undefined) this.changed();
    else this.added();
    this.#each(({ onMessage }) => onMessage?.(message));
  }

  protected filled(messages: readonly Message[], isAgain: boolean): void {
    this.error = undefined;
    this.fill(messages, isAgain);
    this.changed();
  }

  protected history(): History | undefined {
    return this.wish((wishes) => wishes.history !== undefined)?.history;
  }

  protected wish(matches: (wishes: O) => boolean): O | undefined {
    for (const observer of this.#observers) if (matches(observer())) return observer();
    return undefined;
  }

  /** A component that throws takes nothing from the others, and is not silent either. */
  #each(act: (wishes: O) => void): void {
    for (const observer of [...this.#observers]) {
      try {
        act(observer());
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
