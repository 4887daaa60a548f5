// The general connection of one user, and the rooms heard over it.

import { Connection } from "./connection.ts";
import { closed } from "./deferred.ts";
import type { Effect } from "./effects.ts";
import { Emitter } from "./emitter.ts";
import { RealtimeError } from "./errors.ts";
import { isCursor, refusalOf, roomName } from "./protocol.ts";
import { whenReady } from "./ready.ts";
import { RoomHandle, SharedRoom } from "./room.ts";
import type { ClientOptions, ConnectionState, CoreClient, Room, RoomKind, RoomOptions, Unsubscribe } from "./types.ts";

export class GeneralClient implements CoreClient {
  protected readonly options: ClientOptions;
  readonly #connection: Connection;
  readonly #emitter = new Emitter();
  readonly #rooms = new Map<string, SharedRoom>();
  protected isClosed = false;
  /** On purpose: then only `connect()` brings it back. */
  #wasLeft = false;

  constructor(options: ClientOptions) {
    this.options = options;
    this.#connection = new Connection(options, "/api/v1/ws", (effect) => this.#handle(effect));
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  connect(): void {
    this.#wasLeft = false;
    this.#connection.connect();
  }

  disconnect(): void {
    this.#wasLeft = true;
    this.#connection.disconnect();
  }

  check(): void {
    this.#connection.feed({ type: "wake" });
  }

  ready(): Promise<void> {
    return whenReady(this.#connection, this.#emitter, () => this.isClosed);
  }

  on(name: string, listener: (event: never) => void): Unsubscribe {
    if (!name.startsWith("@")) this.#autoConnect();
    return this.#emitter.on(name, listener);
  }

  room(kind: RoomKind, id: string, { since }: RoomOptions = {}): Room {
    const name = roomName(kind, id);
    if (since && !isCursor(since)) throw new RealtimeError({ code: "INVALID_CURSOR", message: "No cursor." });
    const share = () => {
      if (this.isClosed) throw closed();
      return this.#rooms.get(name) ?? new SharedRoom(name, this.#connection, this.#rooms);
    };
    this.#autoConnect();
    return new RoomHandle(share, since);
  }

  investigation(id: string, options?: RoomOptions): Room {
    return this.room("investigation", id, options);
  }

  analysis(id: string, options?: RoomOptions): Room {
    return this.room("analysis", id, options);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const room of this.#rooms.values()) room.each((each) => each.close());
    this.#connection.close();
    this.#emitter.emit("@status", "closed");
    this.#emitter.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Somebody wants to hear something. */
  #autoConnect(): void {
    if (this.options.autoConnect !== false && !this.#wasLeft && this.state.status === "idle") this.connect();
  }

  #handle(effect: Effect): void {
    if (effect.type === "message") {
      const { message } = effect;
      this.#emitter.publish(message);
      this.#rooms.get(message.room)?.each((room) => room.publish(message));
    } else if (effect.type === "state") {
      this.#emitter.emit("@state", effect.state);
      for (const room of this.#rooms.values()) room.each((each) => each.state(effect.state));
    } else if (effect.type === "room") {
      this.#rooms.get(effect.room)?.changed(effect.status, effect.error);
    } else if (effect.type === "reset") {
      const { room, cursor } = effect;
      const reset = { room, cursor };
      this.#emitter.emit("@reset", reset);
      this.#rooms.get(room)?.each((each) => each.reset(reset));
    } else if (effect.type === "control" && effect.frame.type === "error") {
      this.#emitter.emit("@error", new RealtimeError(refusalOf(effect.frame.data)));
    }
  }
}
