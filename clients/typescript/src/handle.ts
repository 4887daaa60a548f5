// What a program holds of something shared: its own listeners and loops, and the right to let go once.

import { Emitter, Feed } from "./emitter.ts";
import type { RealtimeError } from "./errors.ts";
import type { Message } from "./messages.ts";
import type { Unsubscribe } from "./types.ts";

export abstract class Handle {
  protected readonly emitter: Emitter = new Emitter();
  /** Gives back what it holds, while it does: what only loops use is given back with the last of them. */
  protected release: Unsubscribe | undefined;
  /** Then only `close()` gives it back. */
  #isKept = false;
  protected isClosed = false;
  readonly #feeds = new Set<Feed<Message>>();

  /** Why there is nothing to hear, and never will be. */
  protected abstract get error(): RealtimeError | undefined;
  /** Takes its part of what is shared, and returns what gives that back. */
  protected abstract take(): Unsubscribe;

  on(name: string, listener: (event: never) => void): Unsubscribe {
    this.#isKept = true;
    this.#hold();
    return this.emitter.on(name, listener);
  }

  emit(name: string, event: unknown): void {
    this.emitter.emit(name, event);
  }

  publish(message: Message): void {
    this.emitter.publish(message);
    for (const feed of this.#feeds) feed.push(message);
  }

  /** Ends the loops over its messages. */
  endLoops(error?: RealtimeError): void {
    for (const feed of this.#feeds) feed.end(error);
  }

  close(): void {
    this.isClosed = true;
    this.#letGo();
    this.endLoops();
    this.emitter.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncIterator](): Feed<Message> {
    this.#hold();
    const feed = new Feed<Message>((each) => {
      this.#feeds.add(each);
      return () => {
        this.#feeds.delete(each);
        if (!this.#isKept && !this.#feeds.size) this.#letGo();
      };
    });
    if (this.isClosed || this.error) feed.end(this.error);
    return feed;
  }

  #hold(): void {
    if (!this.isClosed) this.release ??= this.take();
  }

  #letGo(): void {
    const { release } = this;
    this.release = undefined;
    release?.();
  }
}
