// Sockets in a chat that note when each token of an answer has come.

import WebSocket from "ws";
import { routeOf } from "../miniflare-tests/support/ledger.ts";
import type { Server } from "../miniflare-tests/support/runtime.ts";
import { TOKEN_CHARS } from "./tokens.ts";

interface Said {
  type: string;
  data: { chunk?: boolean; content: string; snapshot?: boolean };
  messages?: Said[];
}

export class Spectators {
  /** Frames that have come, to all together. */
  frames = 0;
  #sockets: WebSocket[] = [];
  #done: Promise<number[]>[] = [];

  /** So many users, who wait for an answer of so many characters. */
  static async gather(server: Server, room: string, size: number, chars: number): Promise<Spectators> {
    const spectators = new Spectators();
    for (let n = 0; n < size; n++) await spectators.#join(server, room, `spectator-${n}`, chars);
    return spectators;
  }

  /** One of them asks. */
  ask(): void {
    this.#sockets[0]?.send('{"type":"chat","data":{"content":"Quanto?"}}');
  }

  /** Of each socket, when each token had come. */
  done(): Promise<number[][]> {
    return Promise.all(this.#done);
  }

  leave(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  async #join(server: Server, room: string, sub: string, chars: number): Promise<void> {
    const headers = { authorization: `Bearer ${server.token({ sub })}` };
    const socket = new WebSocket(server.url(routeOf(room), "ws"), ["cidadao.v1"], {
      headers,
      perMessageDeflate: false,
    });
    this.#sockets.push(socket);
    await new Promise((resolve, reject) => socket.once("message", resolve).once("error", reject));
    this.#done.push(new Promise((resolve) => this.#watch(socket, chars, resolve)));
  }

  #watch(socket: WebSocket, chars: number, complete: (times: number[]) => void): void {
    const times: number[] = [];
    let length = 0;
    socket.on("message", (frame) => {
      const said: Said = JSON.parse(frame.toString());
      const chunks = (said.messages ?? [said]).filter(({ type, data }) => type === "chat" && data.chunk);
      this.frames++;
      for (const { data } of chunks) length = data.content.length + (data.snapshot ? 0 : length);
      const now = performance.now();
      while (times.length < Math.floor(length / TOKEN_CHARS)) times.push(now);
      if (length >= chars) complete(times);
    });
  }
}
