// The newest messages, of a room in the order of its log.

import type { Message } from "../messages.ts";

export class Log {
  /** From before a loss: numbers may have begun anew since. */
  #past: readonly Message[] = [];
  readonly #messages = new Map<string, Message>();
  #limit: number;
  #isSorted = true;
  #last = 0;

  readonly #order: "log" | "arrival";

  /** Numbers of several rooms say nothing of one another: their messages are in the order of arrival. */
  constructor(limit: number, order: "log" | "arrival" = "log") {
    this.#limit = limit;
    this.#order = order;
  }

  /** Keeps so many at least: of those who look at the same room each may want another number. */
  keep(limit: number): void {
    this.#limit = Math.max(this.#limit, limit);
  }

  add(message: Message): void {
    if (this.#messages.has(message.id)) return;
    this.#messages.set(message.id, message);
    const { seq = this.#last } = message;
    if (seq < this.#last && this.#order === "log") this.#isSorted = false;
    this.#last = Math.max(this.#last, seq);
  }

  delete(id: string): void {
    this.#messages.delete(id);
    this.#past = this.#past.filter((message) => message.id !== id);
  }

  /** After a loss: what comes now follows what was there, whatever its numbers. */
  cut(): void {
    const past = this.take();
    this.clear();
    this.#past = past;
  }

  /** What has come since the last cut. */
  sinceCut(): readonly Message[] {
    return [...this.#messages.values()];
  }

  clear(): void {
    this.#past = [];
    this.#messages.clear();
    this.#last = 0;
    this.#isSorted = true;
  }

  /** A new array. What is beyond the limit is forgotten. */
  take(): readonly Message[] {
    if (!this.#isSorted) this.#sort();
    for (const id of this.#messages.keys()) {
      if (this.#messages.size <= this.#limit) break;
      this.#messages.delete(id);
    }
    this.#past = this.#past.slice(Math.max(0, this.#past.length + this.#messages.size - this.#limit));
    return [...this.#past, ...this.#messages.values()];
  }

  /** An ephemeral message stays behind the one that it came after. */
  #sort(): void {
    let place = 0;
    const placed = [...this.#messages.values()].map((message) => {
      place = message.seq ?? place;
      return { message, place };
    });
    this.#messages.clear();
    for (const { message } of placed.sort((a, b) => a.place - b.place)) this.#messages.set(message.id, message);
    this.#isSorted = true;
  }
}

/** The last so many; the same array, if that is all. */
export function newest<T>(items: readonly T[], limit: number): readonly T[] {
  return items.length > limit ? items.slice(items.length - limit) : items;
}
