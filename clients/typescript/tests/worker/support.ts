// What the tests against the real worker share.

import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket as NodeWebSocket } from "ws";
import type { Claims } from "../../../../miniflare-tests/support/token.ts";
import {
  type Client,
  type ClientOptions,
  createClient,
  type Listenable,
  type Message,
  type SocketConstructor,
} from "../../src/index.ts";

export interface Server {
  url(path: string, scheme?: "http" | "ws"): string;
  token(claims: Claims): string;
}

/** A client of `ana`, unless a token says otherwise. */
export function connect(server: Server, options: Partial<ClientOptions> = {}): Client {
  return createClient({ url: server.url(""), getToken: () => server.token({ sub: "ana" }), ...options });
}

/** The way between clients and a server, which may have moved: it can be cut, kept down, and lose what comes. */
export class Network {
  readonly WebSocket: SocketConstructor;
  isDown = false;
  /** Frames that clients do not get. */
  loses: (text: string) => boolean = () => false;
  /** All that came, of the newest connections too. */
  readonly frames: string[] = [];
  readonly #sockets: NodeWebSocket[] = [];

  constructor(server: Server) {
    const network = this;
    class Line extends NodeWebSocket {
      constructor(url: string, protocols: string[] = []) {
        const { pathname, search } = new URL(url);
        super(server.url(pathname + search, "ws"), protocols);
        network.#sockets.push(this);
        if (network.isDown) queueMicrotask(() => this.terminate());
      }
      override emit(event: string | symbol, ...rest: unknown[]): boolean {
        if (event !== "message") return super.emit(event, ...rest);
        const text = String(rest[0]);
        network.frames.push(text);
        return network.loses(text) || super.emit(event, ...rest);
      }
    }
    this.WebSocket = Line as unknown as SocketConstructor;
  }

  /** How often somebody has dialed. */
  get dials(): number {
    return this.#sockets.length;
  }

  /** Breaks every connection, without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  has(word: string): boolean {
    return this.frames.some((text) => text.includes(word));
  }
}

/** Who may come into every chat. */
export const guest = (server: Server, sub: string) => ({
  getToken: () => server.token({ sub, rooms: ["chat:*"] }),
});

/** Everything that is heard, by its number. */
export function collect(from: Listenable<object>): Message[] {
  const messages: Message[] = [];
  from.on("*", (message) => messages.push(message as Message));
  return messages;
}

/** Waits for something; how long it may take is no measure of anything. */
export async function until(what: string, isTrue: () => unknown): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await sleep(10);
  }
}

/** Publishes as a service; throws if it is not taken. */
export async function publish(server: Server, path: string, ...messages: object[]): Promise<void> {
  const response = await fetch(server.url(`/api/v1/ws${path}/messages`), {
    method: "POST",
    headers: { authorization: `Bearer ${server.token({ sub: "backend", role: "service" })}` },
    body: JSON.stringify(messages),
  });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
}

export const news = (...ns: number[]): object[] => ns.map((n) => ({ type: "news", data: { n } }));

export const numbers = (messages: Message[]): unknown[] => messages.map(({ data }) => (data as { n: number }).n);
