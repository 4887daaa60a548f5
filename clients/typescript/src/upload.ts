// A file on its way into a chat: announced by its id, sent in pieces as the server confirms them, taken up again after
// a break from what the server has.

import type { SharedChat } from "./chat.ts";
import { type Deferred, deferred } from "./deferred.ts";
import { call } from "./emitter.ts";
import { RealtimeError } from "./errors.ts";
import { Pace } from "./pace.ts";
import { type Fields, refusalOf } from "./protocol.ts";
import { stopOf } from "./state.ts";
import { textOf } from "./text.ts";
import { pauseAfter } from "./time.ts";
import type { UploadedFile, UploadOptions } from "./types.ts";

const HEADER_BYTES = 12;
/** Until the server says otherwise. */
const FRAME_BYTES = 262_144;
const WINDOW_BYTES = 1_048_576;
/** After so long without a word from the server it is asked where it is. */
const STALL_MS = 15_000;
/** How often in a row it is tried again what could succeed later. */
const MAX_RETRIES = 6;
/** No name or type that is longer is taken; it is said as far as that, or the frame could be too long to be answered. */
const MAX_WORD = 256;
/** Larger files are not read as a whole to give their hash. */
const MAX_HASHED_BYTES = 67_108_864;

/** What of a chat an upload needs. */
type Port = Pick<SharedChat, "say" | "connection" | "uploads">;

/** What can be sent, wherever its bytes are. */
interface Readable {
  readonly size: number;
  readonly type: string;
  read(from: number, to: number): Promise<ArrayBuffer>;
}

export async function startUpload(
  chat: Port,
  source: Blob | ArrayBuffer | Uint8Array,
  options: UploadOptions,
  id: string,
): Promise<UploadedFile> {
  const { signal, onProgress } = options;
  if (signal?.aborted) throw reasonOf(signal);
  const stop = stopOf(chat.connection.state);
  if (stop) throw stop;
  const file = source instanceof Blob ? ofBlob(source) : ofBytes(source);
  const upload = new Upload(chat, id, file, onProgress);
  const abort = () => upload.abort(reasonOf(signal));
  signal?.addEventListener("abort", abort, { once: true });
  announcement(source, file, options).then(
    (said) => upload.announce(said),
    () => upload.fail(unreadable()),
  );
  try {
    return await upload.done;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function ofBlob(blob: Blob): Readable {
  return { size: blob.size, type: blob.type, read: async (from, to) => blob.slice(from, to).arrayBuffer() };
}

/** As they are now. They are made no Blob of: React Native can neither make one of bytes nor read it. */
function ofBytes(source: ArrayBuffer | Uint8Array): Readable {
  const bytes = new Uint8Array(ArrayBuffer.isView(source) ? source : source.slice(0));
  return { size: bytes.length, type: "", read: async (from, to) => bytes.buffer.slice(from, to) };
}

async function announcement(source: unknown, file: Readable, { name, contentType }: UploadOptions): Promise<Fields> {
  const known = source as { name?: unknown };
  const type = contentType ?? file.type;
  const word = (text: unknown) => String(text).slice(0, MAX_WORD);
  const sha256 = await hash(file);
  return {
    name: word(name ?? textOf(known.name) ?? "file"),
    size: file.size,
    ...(type && { content_type: word(type) }),
    ...(sha256 && { sha256 }),
  };
}

/** By which the server recognises a file that came to harm, or is another one under the same id. */
async function hash(file: Readable): Promise<string | undefined> {
  if (file.size > MAX_HASHED_BYTES || !globalThis.crypto?.subtle) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.read(0, file.size)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Upload {
  readonly #chat: Port;
  readonly #id: string;
  readonly #file: Readable;
  readonly #onProgress: UploadOptions["onProgress"];
  readonly #done: Deferred<UploadedFile> = deferred();
  readonly #pace = new Pace();
  #announcement: Fields | undefined;
  /** What the server calls it on this connection; unknown while nothing may be sent. */
  #handle: number | undefined;
  #window = WINDOW_BYTES;
  #frame = FRAME_BYTES;
  /** The server has everything up to here for good. */
  #stored = 0;
  /** Everything up to here was sent. */
  #sent = 0;
  /** Changes whenever sending begins anew: what was read for the last time is thrown away. */
  #turn = 0;
  #isReading = false;
  #hasBegun = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Since something arrived. */
  #retries = 0;

  constructor(chat: Port, id: string, file: Readable, onProgress: UploadOptions["onProgress"]) {
    this.#chat = chat;
    this.#id = id;
    this.#file = file;
    this.#onProgress = onProgress;
    chat.uploads.add(this);
  }

  get done(): Promise<UploadedFile> {
    return this.#done.promise;
  }

  /** Begins, unless it has ended already. */
  announce(announcement: Fields): void {
    if (!this.#chat.uploads.has(this)) return;
    this.#announcement = announcement;
    if (this.#chat.connection.state.status === "connected") this.connected();
  }

  connected(): void {
    if (!this.#announcement) return;
    this.#pause();
    this.#chat.say("upload", this.#announcement, this.#id);
    this.#later(STALL_MS);
  }

  disconnected(): void {
    this.#pause();
    clearTimeout(this.#timer);
  }

  fail(error: Error): void {
    this.#over();
    this.#done.reject(error);
  }

  abort(reason: Error): void {
    this.#chat.say("upload_abort", { file_id: this.#id });
    this.fail(reason);
  }

  /** Whether the frame was about this file. */
  control(type: string, data: Fields): boolean {
    if (data.file_id !== this.#id || this.#isOfAnother(type, data)) return false;
    if (type === "upload_ready") this.#ready(data);
    else if (type === "upload_progress") this.#progress(data);
    else if (type === "upload_complete") this.#complete(data);
    else if (type === "upload_aborted") this.fail(aborted());
    else if (type === "error") this.#refused(data);
    else return false;
    return true;
  }

  /** What was aborted before under the same id is told of until this one has begun. */
  #isOfAnother(type: string, { original_type }: Fields): boolean {
    return original_type === "upload_abort" || (type === "upload_aborted" && !this.#hasBegun);
  }

  /** The server hears too much, and has dropped something: perhaps of this file. */
  tooFast(ms: number | undefined): void {
    this.#pause();
    this.#later(ms ?? pauseAfter(0));
  }

  #ready({ handle, offset, window_bytes, frame_bytes }: Fields): void {
    if (!isWhole(handle) || !isWhole(offset)) return;
    this.#pause();
    this.#handle = handle;
    this.#hasBegun = true;
    this.#stored = this.#sent = offset;
    this.#window = wholeOf(window_bytes) || WINDOW_BYTES;
    this.#frame = wholeOf(frame_bytes) || FRAME_BYTES;
    this.#tell();
    this.#send();
  }

  #progress({ offset }: Fields): void {
    if (!isWhole(offset)) return;
    this.#retries = 0;
    this.#stored = offset;
    this.#pace.arrived(offset, performance.now());
    this.#tell();
    this.#send();
  }

  #complete({ size, content_type, sha256, url, seq }: Fields): void {
    this.#stored = this.#file.size;
    this.#tell();
    this.#over();
    this.#done.resolve({
      id: this.#id,
      size: wholeOf(size) || this.#file.size,
      contentType: textOf(content_type) ?? "",
      sha256: textOf(sha256) ?? "",
      url: textOf(url) ?? "",
      seq: wholeOf(seq),
    });
  }

  #over(): void {
    this.#chat.uploads.delete(this);
    this.disconnected();
  }

  /** What can go on is announced again: the answer says from where. Pieces that were under way are refused as well. */
  #refused(data: Fields): void {
    const refusal = refusalOf(data);
    const wasSending = this.#handle !== undefined;
    this.#pause();
    if (typeof data.offset === "number") {
      if (wasSending) this.connected();
    } else if (refusal.retry && this.#retries < MAX_RETRIES) {
      this.#later(refusal.retry_after_ms ?? pauseAfter(this.#retries));
      this.#retries += 1;
    } else this.fail(new RealtimeError(refusal));
  }

  #tell(): void {
    if (this.#handle !== undefined) this.#later(STALL_MS);
    if (this.#onProgress) call(this.#onProgress, { sent: this.#stored, size: this.#file.size });
  }

  #later(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.connected(), ms);
  }

  /** Nothing is sent until the server has said anew from where on. */
  #pause(): void {
    this.#turn += 1;
    this.#pace.broken();
    this.#handle = undefined;
  }

  /** Sends as far as the window goes. One piece is read at a time. */
  async #send(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      for (let length = this.#next(); length > 0; length = this.#next()) await this.#sendPiece(length);
    } catch {
      this.fail(unreadable());
    }
    this.#isReading = false;
  }

  async #sendPiece(length: number): Promise<void> {
    const turn = this.#turn;
    const offset = this.#sent;
    const bytes = await this.#file.read(offset, offset + length);
    if (turn !== this.#turn || this.#handle === undefined) return;
    if (bytes.byteLength !== length) throw unreadable();
    this.#sent += length;
    this.#pace.sent(this.#sent, performance.now());
    this.#chat.connection.feed({ type: "bytes", bytes: piece(this.#handle, offset, bytes) });
  }

  /** How long the next piece is: a full one, unless it is the last or nothing else is under way. */
  #next(): number {
    if (this.#handle === undefined) return 0;
    const { bytes } = this.#pace;
    const wanted = Math.min(this.#frame, bytes, this.#file.size - this.#sent);
    const room = this.#stored + Math.min(this.#window, bytes) - this.#sent;
    return room >= wanted || this.#sent === this.#stored ? Math.min(wanted, room) : 0;
  }
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const wholeOf = (value: unknown): number => (isWhole(value) ? value : 0);

/** A piece of a file as the protocol has it: handle, place, bytes. */
export function piece(handle: number, offset: number, bytes: ArrayBuffer): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEADER_BYTES + bytes.byteLength);
  const header = new DataView(frame.buffer);
  header.setUint32(0, handle);
  header.setBigUint64(4, BigInt(offset));
  frame.set(new Uint8Array(bytes), HEADER_BYTES);
  return frame;
}

const unreadable = () => new RealtimeError({ code: "FILE_UNREADABLE", message: "The file cannot be read." });

/** Why it was aborted. Not every signal has a reason: those of React Native have none. */
const reasonOf = (signal?: AbortSignal): Error => (signal?.reason instanceof Error ? signal.reason : aborted());

const aborted = () => new RealtimeError({ code: "ABORTED", message: "The upload was aborted." });
