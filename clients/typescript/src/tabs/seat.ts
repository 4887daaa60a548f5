// Who leads: the tab that holds a lock, which the browser hands on when that tab is gone, however it went.

import { newId } from "../id.ts";
import type { Word } from "./wire.ts";

type Release = () => void;

export class Seat {
  readonly id: string = newId();
  readonly #name: string;
  readonly #channel: BroadcastChannel | undefined;
  readonly #ends = new AbortController();
  readonly #releases: Release[] = [];
  readonly #watched = new Set<string>();
  #unsaid: Word[] | undefined = [];

  constructor(group: string, hear: (word: Word) => void) {
    this.#name = `cidadao:tabs:${group}`;
    if (!isShareable()) return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }: MessageEvent) => hear(data as Word);
    this.#hold(this.#lockOf(this.id), () => this.#sitDown());
  }

  /** Calls `lead` once it is this tab's turn: at once where tabs cannot share, and each is alone. */
  claim(lead: () => void): void {
    if (this.#channel) this.#hold(this.#name, lead);
    else lead();
  }

  /** Whoever hears of this tab takes it for gone once its lock is free: so nobody does before it has that. */
  post(word: Word): void {
    if (this.#unsaid) this.#unsaid.push(word);
    else this.#channel?.postMessage(word);
  }

  /** Calls `gone` when that tab has ended. */
  watch(tab: string, gone: () => void): void {
    if (!this.#channel || this.#watched.has(tab)) return;
    this.#watched.add(tab);
    const { signal } = this.#ends;
    navigator.locks.request(this.#lockOf(tab), { signal }, () => gone()).catch(() => {});
  }

  close(): void {
    this.#ends.abort();
    for (const release of this.#releases) release();
    this.#channel?.close();
  }

  #sitDown(): void {
    const unsaid = this.#unsaid ?? [];
    this.#unsaid = undefined;
    for (const word of unsaid) this.post(word);
  }

  #lockOf(tab: string): string {
    return `${this.#name}:${tab}`;
  }

  #hold(name: string, held: () => void): void {
    const hold = () =>
      new Promise<void>((release) => {
        this.#releases.push(release);
        if (this.#ends.signal.aborted) release();
        else held();
      });
    navigator.locks.request(name, { signal: this.#ends.signal }, hold).catch(() => {});
  }
}

/** Pages that are not served securely have no locks. */
function isShareable(): boolean {
  return typeof BroadcastChannel === "function" && globalThis.navigator?.locks !== undefined;
}
