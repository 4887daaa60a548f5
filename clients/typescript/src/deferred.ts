// Promises that are settled from outside.

import { RealtimeError } from "./errors.ts";

export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** Whoever does not look at it is not ended by its rejection: the same error is told elsewhere too. */
export function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, "promise"> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise: quiet(promise), ...(settle as Omit<Deferred<T>, "promise">) };
}

export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

export const closed = (): RealtimeError => new RealtimeError({ code: "CLOSED", message: "It was closed." });
