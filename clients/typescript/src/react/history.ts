// What a room's log has, read over HTTP.

import { address } from "../connection.ts";
import { RealtimeError, type Refusal } from "../errors.ts";
import type { Message } from "../messages.ts";
import type { ClientOptions } from "../types.ts";

const PATHS = { analysis: "analysis", chat: "chat", investigation: "investigations" } as const;

export interface HistoryOptions {
  /** The newest so many, up to 1,000. Default 200. */
  limit?: number;
}

/** The newest messages of a room, oldest first. Give it to hooks: `history: () => loadHistory(server, "chat", id)`. */
export async function loadHistory(
  { url, getToken, fetch: get = fetch }: Pick<ClientOptions, "url" | "getToken" | "fetch">,
  kind: keyof typeof PATHS,
  id: string,
  { limit = 200 }: HistoryOptions = {},
): Promise<readonly Message[]> {
  const path = `/api/v1/ws/${PATHS[kind]}/${encodeURIComponent(id)}/messages`;
  const token = await getToken({ reason: "connect" });
  const headers = { authorization: `Bearer ${token}` };
  const response = await get(address(url, path, { limit: String(limit) }), { headers });
  const body: { messages: Message[]; error?: Refusal } = await response.json();
  if (response.ok) return body.messages;
  throw new RealtimeError(body.error ?? { code: "INTERNAL", message: `The server answered ${response.status}.` });
}
