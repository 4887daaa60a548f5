// A room as a program in one tab holds it.

import { closed, quiet } from "../deferred.ts";
import type { Feed } from "../emitter.ts";
import type { RealtimeError } from "../errors.ts";
import { Handle } from "../handle.ts";
import type { Cursor, Message } from "../messages.ts";
import type { ConnectionState, Room, RoomStatus } from "../types.ts";

/** What the handles of one room in this tab have in common. */
export class TabRoom {
  readonly name: string;
  readonly handles: Set<TabHandle> = new Set();
  status: RoomStatus = "pending";
  error: RealtimeError | undefined;
  cursor: Cursor | undefined;
  since: Cursor | undefined;
  turn = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** It goes on from `since`, or from now. */
  open(since: Cursor | undefined, forget: () => void): TabHandle {
    const handle = new TabHandle(this, since, forget);
    this.handles.add(handle);
    if (since && (!this.cursor || since.seq < this.cursor.seq)) {
      this.since = since;
      this.turn += 1;
    }
    return handle;
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
  readonly #shared: TabRoom;
  readonly #forget: () => void;
  #last: number;

  constructor(shared: TabRoom, since: Cursor | undefined, forget: () => void) {
    super();
    this.#shared = shared;
    this.#forget = forget;
    this.#last = since?.seq ?? shared.cursor?.seq ?? 0;
  }

  get name(): string {
    return this.#shared.name;
  }

  get status(): RoomStatus {
    return this.isClosed ? "closed" : this.#shared.status;
  }

  get cursor(): Cursor | undefined {
    return this.#shared.cursor;
  }

  get ready(): Promise<void> {
    const wait = new Promise<void>((resolve, reject) => {
      const look = () => {
        if (this.status === "live") resolve();
        else if (this.status === "refused") reject(this.#shared.error);
        else if (this.status === "closed") reject(closed());
        else return;
        end();
      };
      const end = this.emitter.on("@status", look);
      look();
    });
    return quiet(wait);
  }

  override [Symbol.asyncIterator](): Feed<Message> {
    const feed = super[Symbol.asyncIterator]();
    if (this.status === "refused") feed.end(this.#shared.error);
    return feed;
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

  protected release(): void {
    this.emit("@status", "closed");
    this.#shared.handles.delete(this);
    if (this.#shared.handles.size === 0) this.#forget();
  }
}
