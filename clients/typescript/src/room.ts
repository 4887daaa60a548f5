// A room as a program holds it: several handles share one subscription.

import type { Connection } from "./connection.ts";
import { closed } from "./deferred.ts";
import type { Feed } from "./emitter.ts";
import type { RealtimeError } from "./errors.ts";
import { Handle } from "./handle.ts";
import type { Cursor, Message } from "./messages.ts";
import { waitFor } from "./ready.ts";
import { stopOf } from "./state.ts";
import { NEVER } from "./time.ts";
import type { ConnectionState, Reset, Room, RoomStatus } from "./types.ts";

export class SharedRoom {
  readonly name: string;
  status: RoomStatus = "pending";
  error: RealtimeError | undefined;
  readonly connection: Connection;
  readonly #handles = new Set<RoomHandle>();
  readonly #forget: () => void;

  constructor(name: string, connection: Connection, forget: () => void) {
    this.name = name;
    this.connection = connection;
    this.#forget = forget;
  }

  open(since: Cursor | undefined): RoomHandle {
    const handle = new RoomHandle(this, since);
    this.#handles.add(handle);
    this.connection.subscribe(this.name, since, () => this.#handles.has(handle));
    return handle;
  }

  release(handle: RoomHandle): void {
    if (!this.#handles.delete(handle) || this.#handles.size > 0) return;
    this.connection.feed({ type: "unsubscribe", room: this.name });
    this.#forget();
  }

  changed(status: RoomStatus, error: RealtimeError | undefined): void {
    this.status = status;
    this.error = error;
    this.each((handle) => handle.changed());
  }

  each(act: (handle: RoomHandle) => void): void {
    for (const handle of [...this.#handles]) act(handle);
  }
}

export class RoomHandle extends Handle implements Room {
  readonly #shared: SharedRoom;
  /** Everything up to here was handed out, or was before its time: another handle may have asked for it again. */
  #last: number;

  constructor(shared: SharedRoom, since: Cursor | undefined) {
    super();
    this.#shared = shared;
    this.#last = since?.seq ?? shared.connection.cursor(shared.name)?.seq ?? 0;
  }

  get name(): string {
    return this.#shared.name;
  }

  get status(): RoomStatus {
    return this.isClosed ? "closed" : this.#shared.status;
  }

  get cursor(): Cursor | undefined {
    return this.#shared.connection.cursor(this.name);
  }

  get ready(): Promise<void> {
    return waitFor(this.emitter, () => {
      if (this.isClosed) return closed();
      return this.#end ?? this.status === "live";
    });
  }

  override [Symbol.asyncIterator](): Feed<Message> {
    const feed = super[Symbol.asyncIterator]();
    if (this.#end) feed.end(this.#end);
    return feed;
  }

  /** Why nothing comes. */
  get #end(): RealtimeError | undefined {
    return stopOf(this.#shared.connection.state) ?? this.#shared.error;
  }

  override publish(message: Message): void {
    const { seq = NEVER } = message;
    if (seq <= this.#last) return;
    if (seq < NEVER) this.#last = seq;
    super.publish(message);
  }

  changed(): void {
    if (this.status === "live") this.#last = Math.max(this.#last, this.cursor?.seq ?? 0);
    this.emit("@status", this.status);
    const { error } = this.#shared;
    if (!error) return;
    this.emit("@error", error);
    this.endLoops(error);
  }

  reset(reset: Reset): void {
    this.#last = reset.cursor.seq;
    this.emit("@reset", reset);
  }

  state(state: ConnectionState): void {
    this.emit("@state", state);
    if (state.status === "stopped") this.endLoops(state.reason);
  }

  protected release(): void {
    this.emit("@status", "closed");
    this.#shared.release(this);
  }
}
