// @cidadao/realtime/core: the same without chats, for pages that only watch.

import { GeneralClient } from "./general.ts";
import type { ClientOptions, CoreClient } from "./types.ts";

export { RealtimeError } from "./errors.ts";
export type * from "./messages.ts";
export type * from "./types.ts";

/** A client for one user, without chats. */
export function createClient(options: ClientOptions): CoreClient {
  return new GeneralClient(options);
}
