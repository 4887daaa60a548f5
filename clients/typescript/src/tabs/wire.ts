// What tabs tell each other.

import { RealtimeError, type Refusal } from "../errors.ts";
import type { Cursor, Message } from "../messages.ts";
import type { ConnectionState, RoomStatus } from "../types.ts";

/** A room that a tab wants, from a place on. Another `turn` wants it anew. */
export interface Wish {
  readonly since: Cursor | undefined;
  readonly turn: number;
}

/** All that a tab wants, whenever that changes. */
export interface Wishes {
  readonly type: "wishes";
  readonly from: string;
  readonly isConnecting: boolean;
  readonly rooms: Readonly<Record<string, Wish>>;
}

/** What a tab is told. */
export type Told =
  | { readonly type: "message"; readonly message: Message }
  | { readonly type: "state"; readonly state: Plain<ConnectionState> }
  | { readonly type: "status"; readonly room: string; readonly status: RoomStatus; readonly error: Refusal | undefined }
  | { readonly type: "reset"; readonly room: string; readonly cursor: Cursor }
  | { readonly type: "error"; readonly error: Refusal }
  /** How far everything of a room has been told. */
  | { readonly type: "place"; readonly room: string; readonly cursor: Cursor }
  /** What the client keeps for whoever leads next. */
  | { readonly type: "saved"; readonly key: string; readonly value: string | undefined };

export type Word =
  | Wishes
  | { readonly type: "leaves"; readonly from: string }
  | { readonly type: "leads"; readonly leader: string }
  /** Who leads? */
  | { readonly type: "asks" }
  | { readonly type: "checks"; readonly retry: boolean }
  /** To one tab: all of it arrives, or nothing. */
  | {
      readonly type: "tells";
      readonly leader: string;
      readonly to: string;
      readonly told: readonly Told[];
    };

/** An error does not survive the way with its fields. */
type Plain<T> = T extends { readonly reason: RealtimeError } ? Omit<T, "reason"> & { readonly reason: Refusal } : T;

export function plain(error: RealtimeError): Refusal {
  const { code, message, retry, retryAfterMs } = error;
  return { code, message, retry, ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }) };
}

export function packState(state: ConnectionState): Plain<ConnectionState> {
  return "reason" in state ? { ...state, reason: plain(state.reason) } : state;
}

export function unpackState(state: Plain<ConnectionState>): ConnectionState {
  return "reason" in state ? { ...state, reason: new RealtimeError(state.reason) } : state;
}
