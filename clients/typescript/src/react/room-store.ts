// A room as components see it: its newest messages, and whether it is heard.

import type { RealtimeError } from "../errors.ts";
import type { Message } from "../messages.ts";
import type { Reset, Room, RoomStatus, Unsubscribe } from "../types.ts";
import { asError } from "./failure.ts";
import { Log } from "./log.ts";
import { LogStore, type Observer } from "./log-store.ts";

export interface RoomSnapshot {
  readonly status: RoomStatus;
  /** The newest messages, oldest first. */
  readonly messages: readonly Message[];
  /** Why the room is refused, or what else was. */
  readonly error: RealtimeError | undefined;
  /** The last loss: what came before it may have holes, unless `history` has filled them. */
  readonly lost: Reset | undefined;
}

/** What a component wants to be told beside what it shows. */
export type RoomObserver = Observer;

export const CLOSED: RoomSnapshot = { status: "closed", messages: [], error: undefined, lost: undefined };
const PENDING: RoomSnapshot = { ...CLOSED, status: "pending" };

export class RoomStore extends LogStore<RoomSnapshot, Log, RoomObserver> {
  readonly #openRoom: () => Room;
  #room: Room | undefined;

  constructor(openRoom: () => Room, limit: number) {
    super(new Log(limit));
    this.#openRoom = openRoom;
  }

  protected open(): Unsubscribe[] {
    try {
      this.#room = this.#openRoom();
    } catch (error) {
      this.error = asError(error);
      return [];
    }
    const room = this.#room;
    return [
      () => room.close(),
      room.on("*", (message) => this.#receive(message)),
      room.on("@status", (status) => {
        if (status === "live") this.connected();
        this.look();
      }),
      room.on("@error", (error) => this.failed(error)),
      room.on("@reset", (reset) => this.lose(reset)),
    ];
  }

  protected override reset(): void {
    super.reset();
    this.#room = undefined;
  }

  protected build(): RoomSnapshot {
    if (!this.#room && !this.error) return PENDING;
    const status = this.#room?.status ?? "refused";
    return { status, messages: this.log.take(), error: this.error, lost: this.lost };
  }

  #receive(message: Message): void {
    this.log.add(message);
    this.tell(message);
  }

  protected look(): void {
    if (this.#room?.status === "live") {
      this.error = undefined;
      this.past.live(this.history());
    }
    this.changed();
  }

  protected fill(messages: readonly Message[], isAgain: boolean): void {
    const newer = isAgain ? this.log.sinceCut() : [];
    if (isAgain) this.log.clear();
    for (const message of [...messages, ...newer]) this.log.add(message);
  }
}
