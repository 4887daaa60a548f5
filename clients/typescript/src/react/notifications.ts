// What is told to the user and to everybody, whatever room is open.

import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Message } from "../messages.ts";
import type { Unsubscribe } from "../types.ts";
import { Log, newest } from "./log.ts";
import { useSource } from "./provider.ts";
import type { Source } from "./source.ts";
import { Store } from "./store.ts";

const LIMIT = 100;

export interface Notifications {
  /** The newest messages to the user (`user:…`) and to everybody (`system:all`), oldest first. */
  readonly notifications: readonly Message[];
  /** Takes one away. */
  readonly dismiss: (id: string) => void;
  readonly clear: () => void;
}

/** Connects, if nothing else has. */
export function useNotifications({ limit = LIMIT }: { limit?: number } = {}): Notifications {
  const source = useSource();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the store keeps the largest limit
  const store = useMemo(() => source.store("notifications", () => new NotificationStore(source, limit)), [source]);
  const all = useSyncExternalStore(store.subscribe, store.snapshot, none);
  useEffect(() => store.keep(limit), [store, limit]);
  return useMemo(
    () => ({ notifications: newest(all, limit), dismiss: store.dismiss, clear: store.clear }),
    [store, all, limit],
  );
}

const NONE: readonly Message[] = [];
const none = () => NONE;

class NotificationStore extends Store<readonly Message[]> {
  readonly #source: Source;
  readonly #log: Log;

  constructor(source: Source, limit: number) {
    super();
    this.#source = source;
    this.#log = new Log(limit, "arrival");
  }

  keep(limit: number): void {
    this.#log.keep(limit);
  }

  readonly dismiss = (id: string): void => {
    this.#log.delete(id);
    this.flush();
  };

  readonly clear = (): void => {
    this.#log.clear();
    this.flush();
  };

  protected open(): Unsubscribe[] {
    const client = this.#source.client();
    return [
      client.on("*", (message) => this.#receive(message)),
      client.on("@state", ({ status }) => {
        if (status === "connected") this.connected();
      }),
    ];
  }

  protected reset(): void {
    this.#log.clear();
  }

  protected build(): readonly Message[] {
    return this.#log.take();
  }

  #receive(message: Message): void {
    if (!/^(user|system):/.test(message.room)) return;
    this.#log.add(message);
    this.added();
  }
}
