/// <reference lib="esnext.disposable" preserve="true" />
// The public surface, as types: what a program that uses this library sees.

import type { RealtimeError } from "./errors.ts";
import type { Cursor, Message, MessageOf } from "./messages.ts";

/** How a connection is. The object is replaced by each change, so it can be compared by identity. */
export type ConnectionState =
  /** Not wished for: never connected, or after `disconnect()`. */
  | { readonly status: "idle" }
  | { readonly status: "connecting"; readonly attempt: number }
  /** `connectionId` belongs into the report of a fault. */
  | { readonly status: "connected"; readonly connectionId: string; readonly room: string }
  /** Comes back by itself at `retryAt`, milliseconds since 1970, or sooner. */
  | {
      readonly status: "waiting";
      readonly attempt: number;
      readonly retryAt: number;
      readonly reason: RealtimeError;
    }
  /** Does not come back by itself: `reason.code` says why, and `connect()` tries again. */
  | { readonly status: "stopped"; readonly reason: RealtimeError };

/** Ends what it was returned for. Calling it again does nothing. */
export type Unsubscribe = () => void;

/** The room's messages since `cursor`'s place are lost: load the state anew. */
export interface Reset {
  readonly room: string;
  /** Everything after this place comes. */
  readonly cursor: Cursor;
}

/** The client's own events. Their names begin with `@`, which no type of message does. */
export interface OwnEvents {
  "@state": ConnectionState;
  "@reset": Reset;
  /** What was refused and belongs to no call that could throw it. */
  "@error": RealtimeError;
  /** A frame that was thrown out of a full outbox. */
  "@dropped": { readonly id: string; readonly type: string };
}

export interface Listenable<Own> {
  /**
   * Calls `listener` for every event or message of that name: one of the client's own (`@state`), a type
   * (`anomaly_detected`), a family (`investigation_*`) or all messages (`*`).
   */
  on<K extends keyof Own & string>(name: K, listener: (event: Own[K]) => void): Unsubscribe;
  on<N extends string>(name: N, listener: (message: MessageOf<N>) => void): Unsubscribe;
}

/**
 * A room that is heard over the general connection, until `close()`. If nobody has listened with `on`, the end of its
 * last `for await` loop gives it back too; another loop or listener takes it again, and hears what comes from then on.
 */
export interface Room extends Listenable<OwnEvents & { "@status": RoomStatus }>, AsyncIterable<Message>, Disposable {
  /** `investigation:inv-123` */
  readonly name: string;
  readonly status: RoomStatus;
  /** How far everything is here. */
  readonly cursor: Cursor | undefined;
  /** Once the server has agreed; rejected with its refusal, or if the connection stops. */
  readonly ready: Promise<void>;
  /** Gives the room back. When the last handle of a room is closed, its subscription ends a moment later. */
  close(): void;
}

/** `pending`: on its way, or the connection is down. `refused`: the token does not open it. */
export type RoomStatus = "pending" | "live" | "refused" | "closed";

export type RoomKind = "investigation" | "analysis";

export interface RoomOptions {
  /** Where to go on from: what a page got together with the state it loaded. */
  since?: Cursor;
}

/** The general connection of a user, and the rooms heard over it. */
export interface CoreClient extends Listenable<OwnEvents>, AsyncDisposable {
  readonly state: ConnectionState;
  /** Connects, unless it is or is about to be. The first `room()` and the first `on()` of a message do that too. */
  connect(): void;
  /** Leaves, and stays away until `connect()`. Rooms and what waits to be sent are kept. */
  disconnect(): void;
  /** Connects, if that was not asked for yet, and waits for it; rejected if the connection stops for good. */
  ready(): Promise<void>;
  /**
   * Looks at once whether the connection lives, or comes back at once. Browsers do that by themselves when the network
   * is back or the page is seen; call it where there are no such events, as on React Native's `AppState`.
   */
  check(): void;
  room(kind: RoomKind, id: string, options?: RoomOptions): Room;
  investigation(id: string, options?: RoomOptions): Room;
  analysis(id: string, options?: RoomOptions): Room;
  /** Ends everything: rooms, chats, connections. */
  close(): Promise<void>;
}

/** A client with chats. */
export interface Client extends CoreClient {
  /** A chat session, over a connection of its own. Handles of one session share it. */
  chat(sessionId: string, options?: ChatOptions): Chat;
}

export interface ChatOptions {
  /** Whether to hear who is there. Default `true`. */
  presence?: boolean;
}

export interface SendOptions {
  /** Stops the answer (`chat_cancel`), or takes the question back if it has not gone out yet. */
  signal?: AbortSignal;
  /** Any JSON, for the agent only. */
  context?: unknown;
  /** Which agent. */
  agentId?: string;
  /** `false`: for the people only, no agent answers. */
  ask?: boolean;
  /** Name it to send the same again without asking twice: while it is under way, its answer is returned. */
  id?: string;
}

export interface User {
  readonly user_id: string;
  readonly state?: Readonly<Record<string, unknown>>;
}

/** Who is there. Replaced by each change. `users` is complete in chats of up to 200, otherwise only `count` holds. */
export interface Presence {
  readonly count: number;
  readonly users: readonly User[];
}

export interface ChatEvents extends OwnEvents {
  "@presence": Presence;
  /** Who is typing: ids of users. */
  "@typing": readonly string[];
  /** An answer has begun, to whoever's question. */
  "@answer": Answer;
  /** What the session is called now. */
  "@title": string | undefined;
}

/** A chat session. */
export interface Chat extends Listenable<ChatEvents>, AsyncIterable<Message>, Disposable {
  readonly sessionId: string;
  /** What the session is called: at first its first question. */
  readonly title: string | undefined;
  readonly state: ConnectionState;
  readonly presence: Presence;
  readonly typing: readonly string[];
  /** Answers that are under way, oldest first. */
  readonly answers: readonly Answer[];
  readonly cursor: Cursor | undefined;
  connect(): void;
  disconnect(): void;
  ready(): Promise<void>;
  check(): void;
  /** Says something. Offline it waits in the outbox; where the connection has stopped it fails at once. */
  send(text: string, options?: SendOptions): Answer;
  /** Tells the others that one is typing, once there is a connection. Call it with each keystroke: repeats are not sent. */
  setTyping(isTyping?: boolean): void;
  /** What is shown with the user in presence: up to 1 KiB of JSON. It is said again after every reconnect. */
  setPresence(state: Record<string, unknown>): void;
  /** Puts a file into the chat, and goes on where it was after a break; where the connection has stopped it fails. */
  upload(file: Blob | ArrayBuffer | Uint8Array, options?: UploadOptions): Promise<UploadedFile>;
  /** Gives the session back. When the last handle is closed, its connection ends a moment later. */
  close(): void;
}

export interface UploadOptions {
  /** Default: the name of the `File`. */
  name?: string;
  contentType?: string;
  /** Name it to go on with an upload after a reload. Otherwise one is made. */
  id?: string;
  onProgress?: (progress: { readonly sent: number; readonly size: number }) => void;
  /** Gives up: what was sent is thrown away. */
  signal?: AbortSignal;
}

export interface UploadedFile {
  readonly id: string;
  readonly size: number;
  readonly contentType: string;
  readonly sha256: string;
  readonly url: string;
  readonly seq: number;
}

/** `sending`: in the outbox. `waiting`: taken by the server. `answering`: text comes. The rest are ends. */
export type AnswerStatus = "sending" | "waiting" | "answering" | "completed" | "cancelled" | "failed" | "interrupted";

/**
 * An agent's answer, as it comes. Iterating gives the pieces of its text from the beginning, whenever one starts; in
 * the end it gives all. If the server corrects what it said before, the text is replaced: {@link text} holds, and
 * iteration goes on with what is new.
 */
export interface Answer extends AsyncIterable<string> {
  /** The id of the question. */
  readonly id: string;
  /** Whether the question was sent from here. */
  readonly isOwn: boolean;
  /** The answer's own, once it has begun. */
  readonly messageId: string | undefined;
  readonly text: string;
  readonly status: AnswerStatus;
  /** What the agent is at, such as `thinking`, and its sentence about that. */
  readonly stage: { readonly name: string; readonly message?: string } | undefined;
  readonly agent: { readonly id: string; readonly name?: string } | undefined;
  /** Once the server has the question (`seq`: its place in the log); rejected if it refuses. */
  readonly sent: Promise<{ readonly seq: number | undefined; readonly duplicate: boolean }>;
  /** Once the answer is whole, was cancelled or broke off; rejected if it failed. With `ask: false`, once sent. */
  readonly done: Promise<AnswerResult>;
  /** Calls `listener` after every change. */
  onChange(listener: () => void): Unsubscribe;
  /** Ends it here at once, and has the agent stopped. */
  cancel(): void;
}

export interface AnswerResult {
  readonly status: "completed" | "cancelled" | "interrupted";
  readonly text: string;
  readonly messageId: string | undefined;
  /** All that the server said with it, such as `suggested_actions`. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Where cursors are kept between visits. Failures are ignored: then a room starts now. */
export interface CursorStorage {
  get(key: string): string | null | undefined | Promise<string | null | undefined>;
  set(key: string, value: string): unknown;
  remove(key: string): unknown;
}

export interface OutboxOptions {
  /** Default 1,000 frames. */
  maxFrames?: number;
  /** Default 4 MiB. */
  maxBytes?: number;
  /** `reject` (default) refuses what is new with OUTBOX_FULL; `drop-oldest` makes room for it, and says `@dropped`. */
  whenFull?: "reject" | "drop-oldest";
}

/** What of WebSocket is used; browsers, Node 22, Deno, Bun, Workers and React Native have it, and `ws` fits. */
export interface SocketLike {
  binaryType: string;
  readonly readyState: number;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export type SocketConstructor = new (url: string, protocols?: string[]) => SocketLike;

export interface ClientOptions {
  /** Of the server: `https://realtime.example.org`. */
  url: string;
  /**
   * The user's token. It is asked for before the first connection, when a token is about to end, and when one was
   * refused; in between the last one is used. `null` says that nobody is signed in: the connection stops with NO_TOKEN.
   */
  getToken: (request: { reason: "connect" | "expiring" | "refused" }) => TokenResult | Promise<TokenResult>;
  /** Connect with one-time tickets in the URL instead of the token in the subprotocol. */
  tickets?: boolean;
  /** Which of the user's devices this is: each is owed every message once. */
  device?: string;
  /** Confirm what arrives, about once a second: the server then knows how far this client is. */
  acks?: boolean;
  /** Where to keep cursors between visits. */
  storage?: CursorStorage;
  outbox?: OutboxOptions;
  /** Whether the first `room()` and the first `on()` of a message connect. Default `true`. */
  autoConnect?: boolean;
  /** The longest pause between two attempts. Default 30 s; twice that while the page is hidden. */
  maxDelayMs?: number;
  /** Where none is global: Node 20 with `ws`. */
  WebSocket?: SocketConstructor;
  /** For tickets. */
  fetch?: typeof fetch;
}

export type TokenResult = string | null | undefined;
