// What a program holds of something shared: its own listeners and loops, and the right to let go once.

import { Emitter, Feed } from "./emitter.ts";
import type { RealtimeError } from "./errors.ts";
import type { Message } from "./messages.ts";
import type { Unsubscribe } from "./types.ts";

export abstract class Handle {
  protected readonly emitter: Emitter = new Emitter();
  protected isClosed = false;
  readonly #feeds = new Set<Feed<Message>>();

  /** Gives back what it holds. */
  protected abstract release(): void;

  on(name: string, listener: (event: never) => void): Unsubscribe {
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
    if (this.isClosed) return;
    this.isClosed = true;
    this.release();
    this.endLoops();
    this.emitter.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncIterator](): Feed<Message> {
    const feed = new Feed<Message>((each) => {
      this.#feeds.add(each);
      return () => this.#feeds.delete(each);
    });
    if (this.isClosed) feed.end();
    return feed;
  }
}
