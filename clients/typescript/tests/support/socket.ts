// The other end of a connection, in the hands of a test: a WebSocket that goes nowhere.

import { createClient } from "../../src/client.ts";
import type { Chat, ChatOptions, Client, ClientOptions, SocketConstructor } from "../../src/types.ts";

/** Tests that set the time of day set this clock with it. */
performance.now = () => Date.now();

// biome-ignore lint/suspicious/noExplicitAny: tests look into frames of many shapes
export type Frame = any;

export class FakeSocket {
  static readonly all: FakeSocket[] = [];
  binaryType = "blob";
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly url: URL;
  readonly frames: Frame[] = [];
  readonly pieces: Uint8Array[] = [];

  constructor(url: string) {
    this.url = new URL(url);
    FakeSocket.all.push(this);
  }

  /** The newest. */
  static get last(): FakeSocket {
    return (
      FakeSocket.all.at(-1) ??
      (() => {
        throw new Error("nothing was dialed");
      })()
    );
  }

  send(data: string | Uint8Array): void {
    if (typeof data === "string") this.frames.push(JSON.parse(data));
    else this.pieces.push(data);
  }

  close(): void {
    this.readyState = 3;
  }

  /** The frames of a type that were sent, and are not asked for again. */
  take(type: string): Frame[] {
    const taken = this.frames.filter((frame) => frame.type === type);
    this.frames.splice(0, this.frames.length, ...this.frames.filter((frame) => frame.type !== type));
    return taken;
  }

  welcome(data: object = {}): void {
    this.readyState = 1;
    const room = `chat:${this.url.pathname.split("/").at(-1)}`;
    this.say("connection", {
      connection_id: "c",
      room,
      epoch: "5f0c3a9be1d27748",
      seq: 0,
      reconnect_within_ms: 1,
      ...data,
    });
  }

  say(type: string, data: object, rest: object = {}): void {
    this.onmessage?.({ data: JSON.stringify({ type, data, ...rest }) });
  }

  /** Published into the chat; with a number it is in the log. */
  publish(type: string, data: object, seq?: number, id = `${type}-${seq}`): void {
    this.say(type, data, { room: "chat:s", id, timestamp: "t", ...(seq !== undefined && { seq }) });
  }

  break(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

/** Lets what was promised happen. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
}

/** A chat that is connected, and the server's end of it. */
export async function openChat(
  options: Partial<ClientOptions> = {},
  chatOptions?: ChatOptions,
): Promise<{ client: Client; chat: Chat; socket: FakeSocket }> {
  const client = offlineClient(options);
  const chat = client.chat("s", chatOptions);
  await settle();
  const socket = FakeSocket.last;
  socket.welcome();
  return { client, chat, socket };
}

export function offlineClient(options: Partial<ClientOptions> = {}): Client {
  return createClient({
    url: "https://realtime.example.org",
    getToken: () => "token",
    WebSocket: FakeSocket as unknown as SocketConstructor,
    ...options,
  });
}

/** Breaks, and is welcomed back. */
export async function comeBack(socket: FakeSocket, tick: (ms: number) => void, data: object = {}): Promise<FakeSocket> {
  socket.break();
  tick(2_000);
  await settle();
  FakeSocket.last.welcome({ recovered: true, ...data });
  return FakeSocket.last;
}
