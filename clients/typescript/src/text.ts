// Frames with words of a program in them: whatever it gives, they are ones that a server can read.

import { RealtimeError } from "./errors.ts";
import { type Fields, frame } from "./protocol.ts";

/** An escape in JSON; caught, if it is half of a character. Whole ones are not escaped. */
const ESCAPE = /\\(?:(ud[89a-f]..)|.)/g;

/** A frame; throws if its data cannot be said in JSON. Halves of characters become signs of replacement. */
export function said(type: string, data: Fields, id?: string): string {
  try {
    return frame(type, data, id).replace(ESCAPE, (whole, half) => (half ? "\ufffd" : whole));
  } catch {
    throw new RealtimeError({ code: "INVALID_JSON", message: "It cannot be said in JSON." });
  }
}

/** A field that is a text, if it is. Publishers write what they like. */
export const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
