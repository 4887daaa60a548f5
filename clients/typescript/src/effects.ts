// What goes into the state machine of a connection, and what comes out.

import type { RealtimeError, Refusal } from "./errors.ts";
import type { Cursor, Message } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { Control } from "./protocol.ts";
import type { ConnectionState, RoomStatus } from "./types.ts";

/** What has happened. */
export type Input =
  | { type: "connect" }
  | { type: "disconnect" }
  /** The answer to the effect `token`, and what was stored. */
  | { type: "token"; token: string | null; expiresAt?: number | undefined; own?: OwnCursor | undefined }
  | { type: "token-failed" }
  /** The socket that `dial` asked for. */
  | { type: "frame"; text: string }
  | { type: "closed"; code: number; reason: string }
  /** A refusal before there was a socket. */
  | { type: "refused"; refusal: Refusal }
  | { type: "subscribe"; room: string; cursor?: Cursor | undefined }
  | { type: "unsubscribe"; room: string }
  /** With an id it has to arrive, and waits for that; without, it goes now or not at all. */
  | { type: "send"; frame: string; kind: string; id?: string }
  | { type: "bytes"; bytes: Uint8Array<ArrayBuffer> }
  | { type: "withdraw"; id: string }
  /** The deadline has come. */
  | { type: "tick" }
  /** Something speaks for looking at once: the network is back, the page is seen, the device is awake. */
  | { type: "wake" }
  /** The network is gone, as far as the device knows. */
  | { type: "offline" }
  | { type: "visibility"; isHidden: boolean };

/** The cursor of the connection's own room; only the server knows which room that is. */
export interface OwnCursor extends Cursor {
  room: string;
}

/** What is to be done, in this order. */
export type Effect =
  | { type: "token"; reason: "connect" | "expiring" | "refused" }
  | { type: "dial"; token: string; query: Record<string, string> }
  | { type: "transmit"; data: string | Uint8Array<ArrayBuffer> }
  | { type: "hangup" }
  | { type: "state"; state: ConnectionState }
  | { type: "message"; message: Message }
  | { type: "control"; frame: Control }
  | { type: "room"; room: string; status: RoomStatus; error?: RealtimeError | undefined }
  | { type: "reset"; room: string; cursor: Cursor }
  | { type: "error"; error: RealtimeError }
  | { type: "confirmed"; id: string; seq: number; duplicate: boolean }
  | { type: "failed"; id: string; error: RealtimeError }
  /** Taken back; if it was sent, the server may have it. */
  | { type: "withdrawn"; id: string; wasSent: boolean }
  | { type: "dropped"; id: string; kind: string }
  | { type: "save"; room: string; cursor: Cursor; isOwn: boolean };

export interface Settings {
  /** Of the query: what stays the same. */
  query: Record<string, string>;
  acks: boolean;
  maxDelayMs: number;
  /** For frames that have to arrive; a connection that only listens has none. */
  outbox?: Outbox | undefined;
}
