// Whatever was thrown, as an error with a code.

import { RealtimeError } from "../errors.ts";

export function asError(error: unknown): RealtimeError {
  if (error instanceof RealtimeError) return error;
  return new RealtimeError({ code: "FAILED", message: error instanceof Error ? error.message : String(error) });
}
