// The token of a connection: whether there is one to connect with, and when another is due.

import { NEVER } from "./time.ts";

export type TokenReason = "connect" | "expiring" | "refused";

/** A token that ends this soon is not worth connecting with. */
const MARGIN_MS = 5_000;
const RETRY_MS = 5_000;
const MAX_TRIES = 3;

export class Credentials {
  #token: string | undefined;
  #ends = NEVER;
  #reason: TokenReason = "connect";
  #refusals = 0;
  #refreshAt = NEVER;
  #failures = 0;
  /** Another token is asked for while this one still holds. */
  isRefreshing = false;

  /** Why another token is needed. */
  get reason(): TokenReason {
    return this.#token === undefined ? this.#reason : "expiring";
  }

  /** When to ask for another token, while connected. */
  get deadline(): number {
    return this.#refreshAt;
  }

  usable(now: number): string | undefined {
    return now < this.#ends - MARGIN_MS ? this.#token : undefined;
  }

  keep(token: string, ends: number = NEVER): void {
    this.#token = token;
    this.#ends = ends;
  }

  forget(reason: TokenReason): void {
    this.#token = undefined;
    this.#reason = reason;
  }

  /** The token was not taken. Whether another may be. */
  refused(code: string): boolean {
    this.forget(code === "TOKEN_EXPIRED" ? "expiring" : "refused");
    this.#refusals += 1;
    if (this.#refusals <= MAX_TRIES) return true;
    this.#refusals = 0;
    return false;
  }

  /** The token was taken. */
  accepted(): void {
    this.#refusals = this.#failures = 0;
  }

  /** The connection is gone, and with it the wish to go on with another token. */
  suspend(): void {
    this.isRefreshing = false;
    this.#refreshAt = NEVER;
  }

  expiring(now: number): void {
    this.#refreshAt = now;
  }

  askForAnother(): void {
    this.isRefreshing = true;
    this.#refreshAt = NEVER;
  }

  /** Takes another in the place of the one that ends. The same again would only be announced to end once more. */
  replace(token: string | null, ends: number | undefined): token is string {
    this.isRefreshing = false;
    if (token === null || token === this.#token) return false;
    this.keep(token, ends);
    return true;
  }

  /** Asks again, a few times. If nothing helps, the connection ends with its token, and asks then. */
  retryLater(now: number): void {
    this.isRefreshing = false;
    this.#failures += 1;
    if (this.#failures <= MAX_TRIES) this.#refreshAt = now + RETRY_MS;
  }
}
