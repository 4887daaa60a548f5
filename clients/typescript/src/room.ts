// A room as a program holds it: several handles share one subscription.

import type { Connection } from "./connection.ts";
import { closed } from "./deferred.ts";
import type { RealtimeError } from "./errors.ts";
import { Handle } from "./handle.ts";
import type { Cursor, Message } from "./messages.ts";
import { waitFor } from "./ready.ts";
import { stopOf } from "./state.ts";
import { NEVER } from "./time.ts";
import type { ConnectionState, Reset, Room, RoomStatus, Unsubscribe } from "./types.ts";

export class SharedRoom {
  readonly name: string;
  status: RoomStatus = "pending";
  error: RealtimeError | undefined;
  readonly connection: Connection;
  readonly #handles = new Set<RoomHandle>();
  readonly #rooms: Map<string, SharedRoom>;

  /** One of `rooms`, until the last handle has let go. */
  constructor(name: string, connection: Connection, rooms: Map<string, SharedRoom>) {
    this.name = name;
    this.connection = connection;
    this.#rooms = rooms.set(name, this);
  }

  /** Hears it for this handle too, until what it returns is called. */
  open(handle: RoomHandle, since: Cursor | undefined): Unsubscribe {
    this.#handles.add(handle);
    this.connection.subscribe(this.name, since, () => this.#handles.has(handle));
    return () => {
      handle.emit("@status", "closed");
      this.#handles.delete(handle);
      if (this.#handles.size) return;
      this.connection.feed({ type: "unsubscribe", room: this.name });
      this.#rooms.delete(this.name);
    };
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
  readonly #share: () => SharedRoom;
  #shared!: SharedRoom;
  /** Everything up to here was handed out, or was before its time: another handle may have asked for it again. */
  #last = 0;

  /** `share` gives what handles of the room have in common now. */
  constructor(share: () => SharedRoom, since: Cursor | undefined) {
    super();
    this.#share = share;
    this.release = this.take(since);
  }

  get name(): string {
    return this.#shared.name;
  }

  get status(): RoomStatus {
    return this.release ? this.#shared.status : "closed";
  }

  get cursor(): Cursor | undefined {
    return this.#shared.connection.cursor(this.name);
  }

  protected get error(): RealtimeError | undefined {
    return stopOf(this.#shared.connection.state) ?? this.#shared.error;
  }

  get ready(): Promise<void> {
    return waitFor(this.emitter, () => {
      if (!this.release) return closed();
      return this.error ?? this.status === "live";
    });
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

  protected take(since?: Cursor): Unsubscribe {
    this.#shared = this.#share();
    this.#last = since?.seq ?? this.cursor?.seq ?? 0;
    return this.#shared.open(this, since);
  }
}
