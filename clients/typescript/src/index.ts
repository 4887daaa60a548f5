// @cidadao/realtime: live updates and chats of Cidadão.AI.

export { createClient } from "./client.ts";
export { RealtimeError } from "./errors.ts";
export type * from "./messages.ts";
export type * from "./types.ts";
