// A component that shows nothing and remembers what its hook gave.

import { createElement, type ReactElement, type ReactNode } from "react";
import { RealtimeProvider } from "../../../src/react/index.ts";
import type { ClientOptions } from "../../../src/types.ts";
import type { FakeServer } from "./server.ts";

export class Probe<T, P extends object = object> {
  /** What the hook gave, render by render. */
  readonly seen: T[] = [];
  readonly #hook: (props: P) => T;

  constructor(hook: (props: P) => T) {
    this.#hook = hook;
  }

  get now(): T {
    return this.seen.at(-1) as T;
  }

  readonly Component = (props: P): null => {
    this.seen.push(this.#hook(props));
    return null;
  };

  element(props: P = {} as P): ReactElement {
    return createElement(this.Component, props);
  }
}

export const options = (server: FakeServer): ClientOptions => ({
  url: "http://realtime.test",
  getToken: () => "a.b.c",
  WebSocket: server.WebSocket,
});

export function provided(server: FakeServer, ...children: ReactNode[]): ReactElement {
  return createElement(RealtimeProvider, options(server), ...children);
}
