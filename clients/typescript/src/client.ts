// The client of one user: the general connection, and chats.

import { SharedChat } from "./chat.ts";
import { closed } from "./deferred.ts";
import { GeneralClient } from "./general.ts";
import { roomName } from "./protocol.ts";
import type { Chat, ChatOptions, Client, ClientOptions } from "./types.ts";

/** A client for one user. It connects when it is first needed, and then keeps itself connected. */
export function createClient(options: ClientOptions): Client {
  return new RealtimeClient(options);
}

class RealtimeClient extends GeneralClient implements Client {
  readonly #chats = new Map<string, SharedChat>();

  chat(sessionId: string, { presence = true }: ChatOptions = {}): Chat {
    if (this.isClosed) throw closed();
    roomName("chat", sessionId);
    const key = `${presence} ${sessionId}`;
    const known = this.#chats.get(key);
    const shared = known ?? new SharedChat(this.options, sessionId, presence, () => this.#chats.delete(key));
    this.#chats.set(key, shared);
    return shared.open();
  }

  override async close(): Promise<void> {
    for (const chat of [...this.#chats.values()]) chat.end();
    await super.close();
  }
}
