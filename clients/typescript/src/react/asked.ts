// What was asked in chats that nobody shows any more, and has no answer yet.

import type { SendOptions } from "../types.ts";

export interface Asked {
  readonly text: string;
  readonly options: SendOptions;
}

/** Of more, the oldest are forgotten. */
const MAX_ASKED = 100;
/** After so long the server may not recognise an id, and would ask again. */
const MAX_AGE_MS = 3_600_000;

export class AskedBefore {
  readonly #kept = new Map<
    string,
    { readonly chat: string; readonly id: string; readonly asked: Asked; readonly at: number }
  >();

  keep(chat: string, id: string, asked: Asked): void {
    this.#kept.set(`${chat} ${id}`, { chat, id, asked, at: Date.now() });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_ASKED && oldest !== undefined) this.#kept.delete(oldest);
  }

  forget(): void {
    this.#kept.clear();
  }

  /** By the ids of the questions, oldest first, and no more afterwards. */
  take(chat: string): [string, Asked][] {
    const found = [...this.#kept].filter(([, kept]) => kept.chat === chat);
    for (const [key] of found) this.#kept.delete(key);
    return found.filter(([, { at }]) => Date.now() - at < MAX_AGE_MS).map(([, { id, asked }]) => [id, asked]);
  }
}
