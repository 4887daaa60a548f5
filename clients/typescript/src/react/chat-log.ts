// The entries of a chat in their order: that of the log, as far as it is known.

import type { RealtimeError } from "../errors.ts";
import type { FileShared, Message } from "../messages.ts";
import type { Answer } from "../types.ts";
import { answerKey, type ChatEntry, entryOf, entryOfAnswer, entryOfOwn, type SaidEntry } from "./chat-entries.ts";

interface Placed {
  entry: ChatEntry;
  /** Its `seq`. An answer under way is behind what was there when it began, and what is being sent behind all. */
  place: number;
}

export class ChatLog {
  #userId: string | undefined;
  #limit: number;
  #last = 0;
  #isSorted = true;
  #placed = new Map<string, Placed>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  keep(limit: number): void {
    this.#limit = Math.max(this.#limit, limit);
  }

  /** Whose entries are `isOwn`, wherever they came from. */
  own(userId: string): void {
    if (this.#userId === userId) return;
    this.#userId = userId;
    for (const placed of this.#placed.values()) placed.entry = claimed(placed.entry, userId);
  }

  get(key: string): ChatEntry | undefined {
    return this.#placed.get(key)?.entry;
  }

  add(message: Message): void {
    this.#last = Math.max(this.#last, message.seq ?? 0);
    const entry = entryOf(message, this.#userId);
    if (!entry) return;
    const before = this.get(entry.key);
    if (before?.kind === "answer" && entry.kind === "answer") {
      this.#put({ ...entry, agent: entry.agent ?? before.agent });
      return;
    }
    // What was sent from here may come back after a break, without a user whom the hook knows.
    const isOwn = before && "isOwn" in before && before.isOwn;
    this.#put(isOwn && "isOwn" in entry ? { ...entry, isOwn } : entry);
  }

  /** What was put into the chat from here. */
  shared(file: Omit<FileShared, "user_id">, seq: number): void {
    const base = { key: file.file_id, seq, timestamp: new Date().toISOString() };
    this.#put({ ...base, kind: "file", file: { ...file, user_id: this.#userId ?? "" }, isOwn: true });
  }

  said(id: string, text: string): void {
    this.#put(entryOfOwn(id, text, this.#userId));
  }

  /** What became of something said here. */
  update(id: string, change: Partial<Pick<SaidEntry, "seq" | "status" | "error">>): void {
    const before = this.get(id);
    if (before?.kind === "said") this.#put({ ...before, ...change });
  }

  answer(answer: Answer, error?: RealtimeError): void {
    const before = this.get(answerKey(answer.id));
    const entry = entryOfAnswer(answer, before?.kind === "answer" ? before : undefined);
    this.#put(error ? { ...entry, error } : entry);
  }

  /** After a loss numbers may have begun anew: what is there stays before all that comes. */
  cut(): void {
    for (const placed of this.#placed.values()) if (!isSending(placed.entry)) placed.place = 0;
    this.#last = 0;
  }

  clear(): void {
    this.#placed.clear();
    this.#last = 0;
    this.#isSorted = true;
  }

  /** Everything after this place comes. */
  reached(seq: number): void {
    this.#last = Math.max(this.#last, seq);
  }

  /** These instead of what was there before the last cut, but for what has no end yet: no log has that. */
  replace(messages: readonly Message[]): void {
    const kept = [...this.#placed.values()].filter(({ entry, place }) => place > 0 || isOpen(entry));
    this.#placed.clear();
    for (const message of messages) this.add(message);
    for (const { entry } of kept) if (!this.#placed.has(entry.key)) this.#put(entry);
  }

  /** A new array. What is beyond the limit is forgotten, but for what has no end yet. */
  take(): readonly ChatEntry[] {
    if (!this.#isSorted) this.#sort();
    let excess = this.#placed.size - this.#limit;
    for (const [key, { entry }] of this.#placed) {
      if (excess <= 0) break;
      if (isOpen(entry)) continue;
      this.#placed.delete(key);
      excess -= 1;
    }
    return [...this.#placed.values()].map(({ entry }) => entry);
  }

  #put(entry: ChatEntry): void {
    const before = this.#placed.get(entry.key);
    // An answer stays where it began, though its end has a later place: it would jump under the reader's eyes.
    const isKept = before && (entry.kind === "answer" || entry.seq === undefined);
    const place = isKept ? before.place : (entry.seq ?? (isSending(entry) ? Number.MAX_VALUE : this.#last + 0.5));
    this.#last = Math.max(this.#last, entry.seq ?? 0);
    this.#isSorted = false;
    this.#placed.set(entry.key, { entry, place });
  }

  #sort(): void {
    this.#placed = new Map([...this.#placed].sort(([, a], [, b]) => a.place - b.place));
    this.#isSorted = true;
  }
}

function isOpen(entry: ChatEntry): boolean {
  return (
    (entry.kind === "said" || entry.kind === "answer") && ["sending", "waiting", "answering"].includes(entry.status)
  );
}

function isSending(entry: ChatEntry): boolean {
  return entry.kind === "said" && entry.status !== "sent";
}

function claimed(entry: ChatEntry, userId: string): ChatEntry {
  if (entry.kind === "said") return { ...entry, isOwn: entry.isOwn || entry.userId === userId };
  if (entry.kind === "file") return { ...entry, isOwn: entry.isOwn || entry.file.user_id === userId };
  return entry;
}
