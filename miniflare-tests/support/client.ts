// A WebSocket client that remembers every frame until a test asks for it.

import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket, { type ClientOptions } from "ws";

export interface Frame {
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into frames of many shapes
  data: any;
  timestamp: string;
  id: string;
  room?: string;
  seq?: number;
  /** Of a batch. */
  messages?: Frame[];
}

/** The messages of a frame, whether it is one or holds several. */
export const unpack = (frame: Frame & { messages?: Frame[] }): Frame[] => frame.messages ?? [frame];

/** How long a frame may take before a test is given up: it fails a hanging test, it measures nothing. */
const PATIENCE = 10_000;

export class Client implements Disposable {
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  #frames: string[] = [];
  #arrived = new EventTarget();

  constructor(url: string, protocols: string[] = [], options: ClientOptions = {}) {
    this.socket = new WebSocket(url, protocols, options);
    this.socket.on("message", (data) => {
      this.#frames.push(data.toString());
      this.#arrived.dispatchEvent(new Event("frame"));
    });
    this.closed = once(this.socket, "close").then(([code, reason]) => ({ code, reason: reason.toString() }));
  }

  /** Connects and waits for the welcome. */
  static async open(url: string, protocols: string[] = [], options: ClientOptions = {}): Promise<Client> {
    const client = new Client(url, protocols, options);
    const welcome = await client.next();
    assert.match(welcome.type, /^connection/, `welcome expected, got ${JSON.stringify(welcome)}`);
    client.welcome = welcome;
    return client;
  }

  welcome: Frame | undefined;

  /** The next frame, as text. */
  async text(): Promise<string> {
    const deadline = AbortSignal.timeout(PATIENCE);
    while (this.#frames.length === 0) await once(this.#arrived, "frame", { signal: deadline });
    return this.#frames.shift() as string;
  }

  /** The next frame. */
  async next(): Promise<Frame> {
    return JSON.parse(await this.text());
  }

  /** The next so many messages, whether they come one by one or together. */
  async messages(count: number): Promise<Frame[]> {
    const messages: Frame[] = [];
    while (messages.length < count) messages.push(...unpack(await this.next()));
    return messages;
  }

  /** Sends a frame and waits for the next one. */
  async ask(frame: unknown): Promise<Frame> {
    this.send(frame);
    return this.next();
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === "string" || frame instanceof Uint8Array ? frame : JSON.stringify(frame));
  }

  /** Everything that came before the answer to a ping. What was not sent by now is not on its way. */
  async drain(): Promise<Frame[]> {
    this.send({ type: "ping", data: {} });
    const frames: Frame[] = [];
    for (let frame = await this.next(); frame.type !== "pong"; frame = await this.next()) frames.push(frame);
    return frames;
  }

  close(code = 1000): Promise<{ code: number; reason: string }> {
    this.socket.close(code);
    return this.closed;
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}
