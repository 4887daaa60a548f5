// Files on their way into a chat.

import type { RealtimeError } from "../errors.ts";
import type { Chat, UploadedFile, UploadOptions } from "../types.ts";
import { asError } from "./failure.ts";

export interface UploadEntry {
  readonly key: string;
  readonly name: string;
  readonly size: number;
  /** Bytes that the server has. */
  readonly sent: number;
  /** Those that are done are files of the chat, and no longer here. */
  readonly status: "sending" | "failed";
  readonly error: RealtimeError | undefined;
  /** Gives it up, or takes a failed one away. */
  readonly cancel: () => void;
}

export type UploadSource = Blob | ArrayBuffer | Uint8Array;

export class Uploads {
  readonly #entries = new Map<string, UploadEntry>();
  readonly #changed: () => void;
  readonly #done: (name: string, file: UploadedFile) => void;
  #snapshot: readonly UploadEntry[] = [];
  #made = 0;

  constructor(changed: () => void, done: (name: string, file: UploadedFile) => void) {
    this.#changed = changed;
    this.#done = done;
  }

  get entries(): readonly UploadEntry[] {
    return this.#snapshot;
  }

  async start(chat: Chat, file: UploadSource, options: UploadOptions): Promise<UploadedFile> {
    const entry = this.#begin(file, options);
    const { signal } = entry;
    const onProgress: UploadOptions["onProgress"] = (progress) => {
      this.#update(entry.key, { sent: progress.sent });
      options.onProgress?.(progress);
    };
    try {
      const uploaded = await chat.upload(file, { ...options, signal, onProgress });
      this.#done(entry.name, uploaded);
      this.#remove(entry.key);
      return uploaded;
    } catch (error) {
      if (signal.aborted) this.#remove(entry.key);
      else this.#update(entry.key, { status: "failed", error: asError(error) });
      throw error;
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#snapshot = [];
  }

  #begin(file: UploadSource, options: UploadOptions): { key: string; name: string; signal: AbortSignal } {
    this.#made += 1;
    const key = `upload ${this.#made}`;
    const controller = new AbortController();
    const cancel = () => {
      controller.abort();
      this.#remove(key);
    };
    options.signal?.addEventListener("abort", cancel, { once: true });
    if (options.signal?.aborted) controller.abort();
    const [name, size] = [options.name ?? nameOf(file), file instanceof Blob ? file.size : file.byteLength];
    this.#set({ key, name, size, sent: 0, status: "sending", error: undefined, cancel });
    return { key, name, signal: controller.signal };
  }

  #update(key: string, change: Partial<UploadEntry>): void {
    const entry = this.#entries.get(key);
    if (entry) this.#set({ ...entry, ...change });
  }

  #set(entry: UploadEntry): void {
    this.#entries.set(entry.key, entry);
    this.#tell();
  }

  #remove(key: string): void {
    if (this.#entries.delete(key)) this.#tell();
  }

  #tell(): void {
    this.#snapshot = [...this.#entries.values()];
    this.#changed();
  }
}

function nameOf(file: UploadSource): string {
  return "name" in file && typeof file.name === "string" ? file.name : "file";
}
