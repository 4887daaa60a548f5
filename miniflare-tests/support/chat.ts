// Somebody in a chat: what they say, and what they see of the answers as a client puts them together.

import assert from "node:assert/strict";
import { Client, type Frame, unpack } from "./client.ts";
import type { Server } from "./runtime.ts";

/** Any token opens any chat. */
export const OPEN = { CHAT_ACCESS: "open" };

/** A question, or with `ask: false` a remark. */
export const chat = (content: string, id?: string, more: object = {}) => ({
  type: "chat",
  ...(id && { id }),
  data: { content, ...more },
});

/** Where somebody goes on. */
export interface Cursor {
  epoch: string;
  seq: number;
}

export class Guest implements Disposable {
  /** What stands on the screen of each answer, by its id. */
  readonly shown = new Map<string, string>();
  readonly client: Client;
  /** It has everything up to here. */
  readonly cursor: Cursor;
  #ahead = new Set<number>();

  /** Opens a chat, in the newer way or as clients without batches do. */
  static async join(server: Server, path: string, sub: string, back?: Cursor, protocols = ["cidadao.v1"]) {
    const query = back ? `?epoch=${back.epoch}&since=${back.seq}` : "";
    const headers = { authorization: `Bearer ${server.token({ sub })}` };
    return new Guest(await Client.open(server.url(`/api/v1/ws${path}${query}`, "ws"), protocols, { headers }));
  }

  private constructor(client: Client) {
    this.client = client;
    const { epoch, seq } = (client.welcome as Frame).data;
    this.cursor = { epoch, seq };
  }

  /** Says something, and returns the answer to that frame. */
  async say(content: string, id?: string, more: object = {}): Promise<Frame> {
    this.client.send(chat(content, id, more));
    return this.until(({ type, data }) => type === "ack" || data.original_type === "chat");
  }

  /** Takes messages until one is it, which is returned. */
  async until(is: (message: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const messages = unpack(await this.client.next());
      const found = messages.filter((message) => {
        this.#take(message);
        return is(message);
      });
      if (found[0]) return found[0];
    }
  }

  /** Takes messages until an answer is complete, and returns that. */
  async completed(): Promise<Frame> {
    return this.until(({ type }) => type === "chat_complete");
  }

  /** Takes messages until so much of an answer is shown; returns the answer's id. */
  async sees(text: string): Promise<string> {
    const { data } = await this.until(({ data: { message_id: id } }) => id && this.shown.get(id) === text);
    return data.message_id;
  }

  /** Takes messages until the answer is complete: what is shown is a beginning of the text at every moment, and then it. */
  async follows(text: string): Promise<void> {
    const last = await this.until(({ type }) => {
      for (const shown of this.shown.values()) assert.ok(text.startsWith(shown), `no beginning: ${shown}`);
      return type === "chat_complete";
    });
    assert.deepEqual([last.data.status, last.data.content], ["completed", text]);
  }

  [Symbol.dispose](): void {
    this.client[Symbol.dispose]();
  }

  #take({ type, data, seq }: Frame): void {
    this.#ahead.add(type === "ack" ? data.seq : seq);
    while (this.#ahead.delete(this.cursor.seq + 1)) this.cursor.seq++;
    if (type === "chat_complete") this.shown.set(data.message_id, data.content);
    if (type === "chat" && data.chunk) this.#show(data);
  }

  #show({ message_id: id, content, snapshot }: Frame["data"]): void {
    const before = this.shown.get(id);
    assert.ok(snapshot || before !== undefined, "the first that a connection hears of an answer is all of it");
    this.shown.set(id, snapshot ? content : before + content);
  }
}

/** The messages that a chat keeps. */
export async function history(server: Server, path: string): Promise<Frame[]> {
  const headers = { authorization: `Bearer ${server.token({})}` };
  const response = await fetch(server.url(`/api/v1/ws${path}/messages?limit=100`), { headers });
  return ((await response.json()) as { messages: Frame[] }).messages;
}
