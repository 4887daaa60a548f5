// How the general connection is.

import { useMemo, useSyncExternalStore } from "react";
import type { ConnectionState, Unsubscribe } from "../types.ts";
import { useSource } from "./provider.ts";
import type { Source } from "./source.ts";
import { Store } from "./store.ts";

export const IDLE: ConnectionState = { status: "idle" };

export interface ConnectionView {
  readonly state: ConnectionState;
  readonly status: ConnectionState["status"];
  readonly isConnected: boolean;
  /** Connects, or tries again after the connection has stopped. */
  readonly connect: () => void;
  /** Leaves until `connect()`. */
  readonly disconnect: () => void;
}

/**
 * The general connection. The hook alone does not connect: rooms and notifications do, and `connect()`. A chat has a
 * connection of its own, which `useChat` shows.
 */
export function useConnection(): ConnectionView {
  const source = useSource();
  const store = useMemo(() => source.store("connection", () => new ConnectionStore(source)), [source]);
  const state = useSyncExternalStore(store.subscribe, store.snapshot, idle);
  return useMemo(() => view(state, store), [state, store]);
}

const idle = () => IDLE;

function view(state: ConnectionState, { connect, disconnect }: ConnectionStore): ConnectionView {
  return { state, status: state.status, isConnected: state.status === "connected", connect, disconnect };
}

class ConnectionStore extends Store<ConnectionState> {
  readonly #source: Source;
  #isOpen = false;

  constructor(source: Source) {
    super();
    this.#source = source;
  }

  readonly connect = (): void => this.#source.client().connect();
  readonly disconnect = (): void => this.#source.client().disconnect();

  protected open(): Unsubscribe[] {
    this.#isOpen = true;
    return [this.#source.client().on("@state", () => this.changed())];
  }

  protected reset(): void {
    this.#isOpen = false;
  }

  protected build(): ConnectionState {
    return this.#isOpen ? this.#source.client().state : IDLE;
  }
}
