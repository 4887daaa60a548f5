// A chat as a program holds it.

import type { SharedChat } from "./chat.ts";
import { closed } from "./deferred.ts";
import type { Emitter } from "./emitter.ts";
import type { RealtimeError } from "./errors.ts";
import { Handle } from "./handle.ts";
import { newId } from "./id.ts";
import type { Cursor } from "./messages.ts";
import { roomName } from "./protocol.ts";
import { whenReady } from "./ready.ts";
import { stopOf } from "./state.ts";
import type {
  Answer,
  Chat,
  ConnectionState,
  Presence,
  SendOptions,
  Unsubscribe,
  UploadedFile,
  UploadOptions,
} from "./types.ts";

export class ChatHandle extends Handle implements Chat {
  readonly #shared: SharedChat;

  constructor(shared: SharedChat) {
    super();
    this.#shared = shared;
  }

  get sessionId(): string {
    return this.#shared.sessionId;
  }

  get state(): ConnectionState {
    return this.#shared.connection.state;
  }

  get title(): string | undefined {
    return this.#shared.title;
  }

  get presence(): Presence {
    return this.#shared.presence;
  }

  get typing(): readonly string[] {
    return this.#shared.typing;
  }

  get answers(): readonly Answer[] {
    return this.#shared.answers;
  }

  get cursor(): Cursor | undefined {
    return this.#shared.connection.cursor();
  }

  connect(): void {
    this.#shared.connection.connect();
  }

  disconnect(): void {
    this.#shared.connection.disconnect();
  }

  check(): void {
    this.#shared.connection.feed({ type: "wake" });
  }

  ready(): Promise<void> {
    return whenReady(this.#shared.connection, this.emitter as Emitter, () => this.isClosed);
  }

  send(text: string, options: SendOptions = {}): Answer {
    this.#demandOpen();
    demandId(options.id);
    return this.#shared.send(text, options);
  }

  setTyping(isTyping = true): void {
    this.#shared.setTyping(isTyping);
  }

  setPresence(state: Record<string, unknown>): void {
    this.#shared.setPresence(state);
  }

  /** The code for uploads is loaded with the first one. */
  async upload(file: Blob | ArrayBuffer | Uint8Array, options: UploadOptions = {}): Promise<UploadedFile> {
    this.#demandOpen();
    demandId(options.id);
    const { startUpload } = await import("./upload.ts");
    this.#demandOpen();
    return startUpload(this.#shared, file, options, options.id ?? newId());
  }

  override close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.emit("@status", "closed");
    this.#shared.release(this);
    super.close();
  }

  protected get error(): RealtimeError | undefined {
    return stopOf(this.state);
  }

  /** The end of a loop does not give a chat back: what was sent in it may be on its way. */
  protected take(): Unsubscribe {
    return () => {};
  }

  #demandOpen(): void {
    if (this.isClosed || this.#shared.isEnded) throw closed();
  }
}

function demandId(id: string | undefined): void {
  if (id !== undefined) roomName("chat", id);
}
