// A server of one page's tests: sockets in memory, which welcome, subscribe and confirm as the real one does.

import type { SocketConstructor, SocketLike } from "../../../src/types.ts";

type Fields = Record<string, unknown>;

const PAGE = 100;
const PAGE_PAUSE_MS = 5;
const EPOCH = "5f0c3a9be1d27748";

export class FakeServer {
  /** Every socket that was ever opened. */
  readonly sockets: FakeSocket[] = [];
  /** While `false`, connections fail. */
  isUp = true;
  /** Whether the log still has what those missed who come back. */
  recovers = true;
  /** Rooms that no token opens. */
  readonly refused: Set<string> = new Set();
  #seqs = new Map<string, number>();
  readonly #questions = new Map<string, number>();
  readonly #logs = new Map<string, Fields[]>();
  #ids = 0;

  /** The constructor to give to a client. */
  get WebSocket(): SocketConstructor {
    const server = this;
    return class extends FakeSocket {
      constructor(url: string) {
        super(url, server);
      }
    } as unknown as SocketConstructor;
  }

  get open(): FakeSocket[] {
    return this.sockets.filter(({ readyState }) => readyState === 1);
  }

  /** Frames that clients have sent, of a type. */
  heard(type: string): Fields[] {
    return this.sockets.flatMap(({ heard }) => heard).filter((frame) => frame.type === type);
  }

  /** Messages as they are in a room's log. */
  make(room: string, type: string, items: unknown[]): Fields[] {
    const messages = items.map((data) => this.frame(type, data, { room, seq: this.next(room) }));
    this.#logs.set(room, [...(this.#logs.get(room) ?? []), ...messages]);
    return messages;
  }

  /** What is said of a question: its number, and whether it was known. */
  taken(room: string, id: string): Fields {
    const known = this.#questions.get(id);
    const seq = known ?? this.next(room);
    this.#questions.set(id, seq);
    return { id, seq, duplicate: known !== undefined };
  }

  /** What came after that place. */
  missed(room: string, since: number): Fields[] {
    return (this.#logs.get(room) ?? []).filter(({ seq }) => (seq as number) > since);
  }

  /** One frame with all of them to every open socket. */
  publish(room: string, type: string, ...items: unknown[]): Fields[] {
    const messages = this.make(room, type, items);
    this.batch(messages);
    return messages;
  }

  batch(messages: Fields[]): void {
    const [only] = messages;
    for (const socket of this.open) {
      socket.receive(messages.length === 1 && only ? only : { type: "batch", count: messages.length, messages });
    }
  }

  /** What is not in any log. */
  tell(room: string, type: string, data: unknown): void {
    this.batch([this.frame(type, data, { room })]);
  }

  frame(type: string, data: unknown, more: Fields = {}): Fields {
    this.#ids += 1;
    return { type, data, timestamp: new Date().toISOString(), id: `m${this.#ids}`, ...more };
  }

  next(room: string): number {
    const seq = this.seq(room) + 1;
    this.#seqs.set(room, seq);
    return seq;
  }

  seq(room: string): number {
    return this.#seqs.get(room) ?? 0;
  }

  /** Where somebody begins who has everything up to `since`. */
  place(room: string, since?: number): Fields {
    const own = { room, epoch: EPOCH, reconnect_within_ms: 1 };
    if (since === undefined) return { ...own, seq: this.seq(room) };
    return { ...own, recovered: this.recovers, seq: this.recovers ? since : this.seq(room) };
  }

  /** As if the network had gone. */
  drop(): void {
    for (const socket of this.open) socket.end(1006);
  }
}

class FakeSocket implements SocketLike {
  binaryType = "blob";
  readyState = 0;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  readonly heard: Fields[] = [];
  readonly url: string;
  readonly path: string;
  readonly #server: FakeServer;

  constructor(url: string, server: FakeServer) {
    this.url = url;
    this.path = new URL(url).pathname;
    this.#server = server;
    server.sockets.push(this);
    setImmediate(() => this.#begin());
  }

  send(data: string | Uint8Array): void {
    if (typeof data !== "string") return;
    const frame = JSON.parse(data);
    this.heard.push(frame);
    setImmediate(() => this.#answer(frame));
  }

  close(): void {
    this.end(1000);
  }

  end(code: number): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code, reason: "" } as never);
  }

  receive(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) } as never);
  }

  #begin(): void {
    if (this.readyState !== 0) return;
    if (!this.#server.isUp) {
      this.end(1006);
      return;
    }
    this.readyState = 1;
    const query = new URL(this.url).searchParams;
    const since = query.has("since") ? Number(query.get("since")) : undefined;
    const [, session] = /\/chat\/(.+)$/.exec(this.path) ?? [];
    const own = { status: "connected", message: "", connection_id: "c1" };
    if (session === undefined) {
      const place = this.#server.place("user:ana", since);
      const user = { ...own, user_id: "ana", connection_type: "general", ...place };
      this.receive(this.#server.frame("connection_established", user));
      if (since !== undefined && this.#server.recovers) this.#replay("user:ana", since);
      return;
    }
    const presence = { count: 1, users: [{ user_id: "ana" }] };
    const place = this.#server.place(`chat:${session}`, since);
    this.receive(this.#server.frame("connection", { ...own, session_id: session, presence, ...place }));
    if (since !== undefined && this.#server.recovers) this.#replay(`chat:${session}`, since);
  }

  /** In pages, a few milliseconds apart. */
  #replay(room: string, since: number): void {
    const page = this.#server.missed(room, since).slice(0, PAGE);
    if (page.length === 0 || this.readyState !== 1) return;
    this.receive({ type: "batch", count: page.length, messages: page });
    setTimeout(() => this.#replay(room, page.at(-1)?.seq as number), PAGE_PAUSE_MS);
  }

  #answer({ type, id, data }: Fields): void {
    if (this.readyState !== 1) return;
    const { investigation_id, analysis_id } = (data ?? {}) as Fields;
    if (type === "ping") this.receive({ type: "pong", data: {} });
    if (type === "subscribe") {
      const room = investigation_id ? `investigation:${investigation_id}` : `analysis:${analysis_id}`;
      const named = { ...(investigation_id ? { investigation_id } : { analysis_id }), message: "" };
      const since = (data as Fields).since as number | undefined;
      if (this.#server.refused.has(room)) {
        const refusal = { code: "FORBIDDEN", message: "No.", retry: false, original_type: "subscribe", room };
        this.receive(this.#server.frame("error", refusal));
        return;
      }
      this.receive(this.#server.frame("subscribed", { ...named, ...this.#server.place(room, since) }));
      if (since !== undefined && this.#server.recovers) this.#replay(room, since);
    }
    if (type === "unsubscribe") {
      const room = investigation_id ? `investigation:${investigation_id}` : `analysis:${analysis_id}`;
      this.receive(this.#server.frame("unsubscribed", { room }));
    }
    if (type === "chat") {
      const room = `chat:${this.path.split("/").at(-1)}`;
      this.receive(this.#server.frame("ack", { room, ...this.#server.taken(room, id as string) }));
    }
  }
}
