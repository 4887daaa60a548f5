// Who listens to what: names, families that end in `*`, and `*` alone for everything that was published.

import { RealtimeError } from "./errors.ts";
import type { Message } from "./messages.ts";
import type { Unsubscribe } from "./types.ts";

type Listener = (event: never) => void;

/** What an iteration may fall behind by. */
const MAX_WAITING = 10_000;

export class Emitter {
  readonly #listeners = new Map<string, Set<Listener>>();

  on(name: string, listener: Listener): Unsubscribe {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    // A wrapper of its own: the same function may listen twice, and ends once.
    const entry: Listener = (event) => listener(event);
    listeners.add(entry);
    return () => {
      listeners.delete(entry);
    };
  }

  emit(name: string, event: unknown): void {
    // Whoever begins to listen meanwhile hears the next.
    for (const listener of [...(this.#listeners.get(name) ?? [])]) call(listener, event);
  }

  /** To those who listen to its type, to a family of it, or to all. */
  publish(message: Message): void {
    this.emit(message.type, message);
    for (const name of this.#listeners.keys()) {
      if (name.endsWith("*") && message.type.startsWith(name.slice(0, -1))) this.emit(name, message);
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}

/** Code of others that throws takes nothing from the rest, and is not silent either. */
export function call(listener: Listener, event: unknown): void {
  try {
    listener(event as never);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** A line between events and a loop that takes them one by one. */
export class Feed<T> implements AsyncIterableIterator<T> {
  readonly #waiting: T[] = [];
  /** Wake those who wait for more. */
  readonly #takers: Array<() => void> = [];
  readonly #leave: () => void;
  #error: Error | undefined;
  #isOver = false;

  /** `listen` begins, and returns what ends it. */
  constructor(listen: (feed: Feed<T>) => () => void) {
    this.#leave = listen(this);
  }

  push(value: T): void {
    if (this.#isOver) return;
    if (this.#waiting.push(value) > MAX_WAITING) {
      this.end(new RealtimeError({ code: "SLOW_CONSUMER", message: "10,000 messages behind." }));
    }
    this.#wake();
  }

  /** What waits is still handed out; then the loop ends, or throws. */
  end(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#leave?.();
    this.#wake();
  }

  async next(): Promise<IteratorResult<T>> {
    while (!this.#isOver && !this.#waiting.length) await new Promise<void>((resolve) => this.#takers.push(resolve));
    if (this.#waiting.length) return { value: this.#waiting.shift() as T, done: false };
    if (this.#error) throw this.#error;
    return { value: undefined, done: true };
  }

  async return(): Promise<IteratorResult<T>> {
    this.#waiting.length = 0;
    this.end();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #wake(): void {
    for (const wake of this.#takers.splice(0)) wake();
  }
}
