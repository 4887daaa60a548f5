// What a state means for those who wait.

import type { RealtimeError } from "./errors.ts";
import type { ConnectionState } from "./types.ts";

/** Why nothing comes any more, unless somebody connects again. */
export const stopOf = (state: ConnectionState): RealtimeError | undefined =>
  state.status === "stopped" ? state.reason : undefined;
