// The state machine of a connection, on a real socket and a real clock.

import type { Effect, Input, OwnCursor } from "./effects.ts";
import { call } from "./emitter.ts";
import { watch } from "./environment.ts";
import { Machine } from "./machine.ts";
import type { Cursor } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import { decode, expiryOf, fields, isCursor, placeOf, refusalOf, SUBPROTOCOL } from "./protocol.ts";
import type { ClientOptions, ConnectionState, SocketConstructor, SocketLike } from "./types.ts";

const MAX_DELAY_MS = 30_000;

const NO_WEBSOCKET = {
  code: "NO_WEBSOCKET",
  message: "No WebSocket here: give one in the options.",
};
const BAD_ADDRESS = {
  code: "INVALID_ADDRESS",
  message: "No WebSocket fits this address or token.",
};

/** What the machine wants done that only its owner can do. */
export type Listener = (effect: Effect) => void;

export class Connection {
  readonly #options: ClientOptions;
  readonly #path: string;
  readonly #machine: Machine;
  readonly #listener: Listener;
  readonly #unwatch: () => void;
  #socket: SocketLike | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Where it was when it was last used, perhaps in another life. */
  #stored: Promise<OwnCursor | undefined> | undefined;
  /** Inputs that came while effects were carried out: they have to wait for the rest of them. */
  readonly #inputs: Input[] = [];
  #isBusy = false;
  #isClosed = false;

  /** `path` is that of the room, such as `/api/v1/ws`. With an `outbox` there can be frames that have to arrive. */
  constructor(
    options: ClientOptions,
    path: string,
    listener: Listener,
    query: Record<string, string> = {},
    outbox?: Outbox,
  ) {
    const { device, acks = false, maxDelayMs = MAX_DELAY_MS } = options;
    const all = { ...query, ...(device && { device }), ...(acks && { acks: "true" }) };
    this.#options = options;
    this.#path = path;
    this.#listener = listener;
    this.#machine = new Machine({ query: all, acks, maxDelayMs, outbox }, Math.random);
    this.#unwatch = watch((input) => this.feed(input));
  }

  get state(): ConnectionState {
    return this.#machine.state;
  }

  cursor(room?: string): Cursor | undefined {
    return this.#machine.cursor(room);
  }

  /** Connects, from the stored cursor on if there is one. */
  connect(): void {
    this.feed({ type: "connect" });
  }

  disconnect(): void {
    this.feed({ type: "disconnect" });
  }

  /** Hears another room, from `since` or the stored cursor on, if it is still wanted when that is there. */
  async subscribe(room: string, since: Cursor | undefined, isWanted: () => boolean): Promise<void> {
    const cursor = since ?? (this.#options.storage && (await this.#load(room)));
    if (isWanted()) this.feed({ type: "subscribe", room, cursor });
  }

  feed(input: Input): void {
    if (this.#isClosed) return;
    this.#inputs.push(input);
    if (!this.#isBusy) this.#work();
  }

  /** Ends for good. */
  close(): void {
    this.disconnect();
    this.#isClosed = true;
    this.#unwatch();
    clearTimeout(this.#timer);
  }

  /** Whatever throws, the rest is carried out: the machine counts on it. */
  #work(): void {
    this.#isBusy = true;
    const carryOut = (effect: Effect) => this.#carryOut(effect);
    const handle = (input: Input) => {
      for (const effect of this.#machine.handle(input, performance.now(), Date.now())) call(carryOut, effect);
    };
    for (let input = this.#inputs.shift(); input; input = this.#inputs.shift()) call(handle, input);
    this.#isBusy = false;
    this.#setTimer();
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const { deadline } = this.#machine;
    if (deadline === undefined) return;
    this.#timer = setTimeout(() => this.feed({ type: "tick" }), Math.max(0, deadline - performance.now()));
  }

  #carryOut(effect: Effect): void {
    if (effect.type === "token") this.#askToken(effect.reason);
    else if (effect.type === "dial") this.#dial(effect.token, effect.query);
    else if (effect.type === "transmit") this.#transmit(effect.data);
    else if (effect.type === "hangup") this.#hangUp();
    else if (effect.type === "save") this.#save(effect.isOwn ? this.#path : effect.room, effect);
    else this.#listener(effect);
  }

  async #askToken(reason: "connect" | "expiring" | "refused"): Promise<void> {
    try {
      this.#stored ??= this.#load(this.#path);
      const own = await this.#stored;
      const token = (await this.#options.getToken({ reason })) || null;
      this.feed({ type: "token", token, expiresAt: expiryOf(token), own });
    } catch {
      this.feed({ type: "token-failed" });
    }
  }

  async #dial(token: string, query: Record<string, string>): Promise<void> {
    if (!this.#options.tickets) {
      this.#open(query, [SUBPROTOCOL, `bearer.${token}`]);
      return;
    }
    const state = this.state;
    const answer = await this.#ticket(token);
    // Whoever waited for it may have gone on meanwhile.
    if (state !== this.state || this.#isClosed) return;
    if (typeof answer === "string") this.#open({ ...query, ticket: answer }, [SUBPROTOCOL]);
    else this.feed(answer);
  }

  /** A ticket, or why there is none. */
  async #ticket(token: string): Promise<string | Input> {
    try {
      const get = this.#options.fetch ?? fetch;
      const headers = { authorization: `Bearer ${token}` };
      const response = await get(address(this.#options.url, "/api/v1/ws/tickets"), { method: "POST", headers });
      const body = fields(await response.json());
      if (typeof body.ticket === "string") return body.ticket;
      return { type: "refused", refusal: refusalOf(fields(body.error)) };
    } catch {
      return { type: "closed", code: 1006, reason: "" };
    }
  }

  #open(query: Record<string, string>, protocols: string[]): void {
    const url = address(this.#options.url, this.#path, query).replace(/^http/, "ws");
    const Socket = this.#options.WebSocket ?? (globalThis.WebSocket as SocketConstructor | undefined);
    try {
      const socket = new (Socket as SocketConstructor)(url, protocols);
      socket.binaryType = "arraybuffer";
      this.#socket = socket;
      this.#attend(socket);
    } catch {
      // The sentence of the exception may hold the token.
      this.feed({ type: "refused", refusal: { ...(Socket ? BAD_ADDRESS : NO_WEBSOCKET), retry: false } });
    }
  }

  /** Its events, as long as it is the one in use. */
  #attend(socket: SocketLike): void {
    socket.onmessage = ({ data }: MessageEvent) => {
      if (typeof data === "string") this.feed({ type: "frame", text: data });
    };
    socket.onclose = ({ code, reason }: CloseEvent) => {
      this.#socket = undefined;
      this.feed({ type: "closed", code, reason: String(reason ?? "") });
    };
    // What went wrong is told by the close that follows.
    socket.onerror = () => {};
  }

  #transmit(data: string | Uint8Array<ArrayBuffer>): void {
    // A socket that is closing has not said so yet: what does not go now waits for the next.
    if (this.#socket?.readyState === 1) this.#socket.send(data);
  }

  /** Lets go of the socket: on a dead network its own end may come minutes later. */
  #hangUp(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  #key(name: string): string {
    return `cidadao:${this.#options.url}:${name}`;
  }

  async #load(name: string): Promise<OwnCursor | undefined> {
    try {
      const text = await this.#options.storage?.get(this.#key(name));
      const stored = fields(decode(text ?? ""));
      const place = placeOf(stored);
      if (place && isCursor(place)) return { ...place, room: String(stored.room) };
      if (text) await this.#options.storage?.remove(this.#key(name));
      return undefined;
    } catch {
      return undefined;
    }
  }

  async #save(name: string, { room, cursor }: { room: string; cursor: Cursor }): Promise<void> {
    try {
      await this.#options.storage?.set(this.#key(name), JSON.stringify({ room, ...cursor }));
    } catch {
      // A full or forbidden storage costs the way back after a reload, and nothing else.
    }
  }
}

/** The address of a path of the server, however its own address was written. */
export function address(server: string, path: string, query: Record<string, string> = {}): string {
  const base = server.replace(/^ws/, "http").replace(/(\/api\/v1\/ws)?\/*$/, "");
  const search = new URLSearchParams(query).toString();
  return `${base}${path}${search && `?${search}`}`;
}
