// The text of frames, in both directions, and the names and addresses of rooms.

import { RealtimeError, type Refusal } from "./errors.ts";
import type { Cursor, Message } from "./messages.ts";

/** What the server says of the connection: everything that was not published. */
export interface Control {
  type: string;
  data: Fields;
}

export type Fields = Record<string, unknown>;

/** A place to go on from, as a welcome and `subscribed` name it. */
export interface Place extends Cursor {
  recovered?: boolean | undefined;
}

/** The exact bytes that are answered while the room sleeps. */
export const PING = '{"type":"ping"}';

export const SUBPROTOCOL = "cidadao.v1";

/** The largest frame that the server takes, in bytes. */
export const MAX_FRAME_BYTES = 1_048_576;

/** Dots alone are folders in an address, which go. */
const ID = /^(?!\.{1,2}$)[A-Za-z0-9._~@|+=:-]{1,128}$/;

const EPOCH = /^[0-9a-f]{16}$/;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The frames in a text, in their order. What is no frame is left out: servers may say more than a client knows. */
export function parse(text: string): (Message | Control)[] {
  const frame = decode(text);
  if (!isObject(frame)) return [];
  const frames = frame.type === "batch" && Array.isArray(frame.messages) ? frame.messages : [frame];
  return frames.filter(isFrame).map((each) => (isMessage(each) ? each : { ...each, data: fields(each.data) }));
}

export function isMessage(frame: Message | Control | Fields): frame is Message {
  return typeof (frame as Fields).room === "string";
}

/** A value as an object: one without fields, if it is none. */
export const fields = (value: unknown): Fields => (isObject(value) ? value : {});

function isFrame(value: unknown): value is Control {
  return isObject(value) && typeof value.type === "string";
}

/** What the text says, if it is JSON. */
export function decode(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The cursor in a welcome, `subscribed`, or what was stored; none, if it is not whole. */
export function placeOf({ epoch, seq, recovered }: Fields): Place | undefined {
  if (typeof epoch !== "string" || !Number.isSafeInteger(seq)) return undefined;
  return { epoch, seq: seq as number, recovered: recovered as boolean | undefined };
}

/** A place as a cursor, and nothing else. */
export const cursorOf = ({ epoch, seq }: Cursor): Cursor => ({ epoch, seq });

/** Whether the server takes it as a cursor: those of storages and programs may be anything. */
export const isCursor = ({ epoch, seq }: Cursor): boolean => EPOCH.test(epoch) && seq >= 0;

/** What an `error` says, with what it leaves out. */
export function refusalOf(data: Fields): Refusal {
  const retry_after_ms = Number(data.retry_after_ms) || undefined;
  return { code: "UNKNOWN", message: "Refused.", ...data, retry: data.retry === true, retry_after_ms };
}

export const isId = (id: unknown): id is string => typeof id === "string" && ID.test(id);

/** The name of a room; throws on an id that no room can have. */
export function roomName(kind: string, id: string): string {
  if (isId(id)) return `${kind}:${id}`;
  throw new RealtimeError({
    code: "INVALID_ID",
    message: "1 to 128 of A-Z a-z 0-9 - . _ ~ @ | + = :",
  });
}

/** A frame that asks for a room, from a place on if there is one. */
export function subscribe(room: string, cursor?: Cursor): string {
  return frame("subscribe", { ...roomField(room), epoch: cursor?.epoch, since: cursor?.seq });
}

export function unsubscribe(room: string): string {
  return frame("unsubscribe", roomField(room));
}

/** Confirms what came up to `seq`: of the connection's own room, unless one is named. */
export function confirm(seq: number, room?: string): string {
  return frame("ack", { seq, room });
}

export function frame(type: string, data: unknown, id?: string): string {
  return JSON.stringify({ type, id, data });
}

function roomField(room: string): Fields {
  const colon = room.indexOf(":");
  return { [`${room.slice(0, colon)}_id`]: room.slice(colon + 1) };
}

/** When a token ends, in milliseconds since 1970, if it says so. */
export function expiryOf(token: string | null): number | undefined {
  try {
    const payload = token?.split(".")[1] as string;
    const { exp } = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/")));
    return typeof exp === "number" ? exp * 1_000 : undefined;
  } catch {
    return undefined;
  }
}
