// A room as a program in one tab holds it.

import { closed } from "../deferred.ts";
import type { RealtimeError } from "../errors.ts";
import { Handle } from "../handle.ts";
import type { Cursor, Message } from "../messages.ts";
import { waitFor } from "../ready.ts";
import type { ConnectionState, Room, RoomStatus, Unsubscribe } from "../types.ts";

/** What the handles of one room in this tab have in common. */
export class TabRoom {
  readonly name: string;
  readonly handles: Set<TabHandle> = new Set();
  status: RoomStatus = "pending";
  error: RealtimeError | undefined;
  cursor: Cursor | undefined;
  since: Cursor | undefined;
  turn: number;
  /** Why nothing comes in this tab, if it is so. */
  readonly stop: () => RealtimeError | undefined;
  readonly #changed: () => void;

  /** `changed` is called when other handles hold it, or want something else. */
  constructor(name: string, turn: number, changed: () => void, stop: () => RealtimeError | undefined) {
    this.name = name;
    this.stop = stop;
    this.turn = turn;
    this.#changed = changed;
  }

  /** The handle hears it from `since`, or from now, until what is returned is called. */
  open(handle: TabHandle, since: Cursor | undefined): Unsubscribe {
    this.handles.add(handle);
    if (since && (!this.cursor || since.seq < this.cursor.seq)) {
      this.since = since;
      this.turn += 1;
    }
    this.#changed();
    return () => {
      handle.emit("@status", "closed");
      this.handles.delete(handle);
      this.#changed();
    };
  }

  /** What comes next goes on from here. */
  pause(): void {
    this.since = this.cursor ?? this.since;
    if (this.status === "live") this.changed("pending", undefined);
  }

  changed(status: RoomStatus, error: RealtimeError | undefined): void {
    if (status === this.status && error === undefined) return;
    this.status = status;
    this.error = error;
    for (const handle of [...this.handles]) handle.changed();
  }
}

export class TabHandle extends Handle implements Room {
  readonly #share: () => TabRoom;
  #shared!: TabRoom;
  #last = 0;

  /** `share` gives what handles of the room have in common now. */
  constructor(share: () => TabRoom, since: Cursor | undefined) {
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
    return this.#shared.cursor;
  }

  protected get error(): RealtimeError | undefined {
    return this.#shared.stop() ?? this.#shared.error;
  }

  get ready(): Promise<void> {
    return waitFor(this.emitter, () => {
      if (!this.release) return closed();
      return this.error ?? this.status === "live";
    });
  }

  /** Another handle may have asked for it again. */
  override publish(message: Message): void {
    const { seq } = message;
    if (seq !== undefined && seq <= this.#last) return;
    if (seq !== undefined) this.#last = seq;
    super.publish(message);
  }

  changed(): void {
    this.emit("@status", this.status);
    const { error } = this.#shared;
    if (!error) return;
    this.emit("@error", error);
    this.endLoops(error);
  }

  reset(cursor: Cursor): void {
    this.#last = cursor.seq;
    this.emit("@reset", { room: this.name, cursor });
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
