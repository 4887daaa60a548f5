// A room as components see it: its newest messages, and whether it is heard.

import type { RealtimeError } from "../errors.ts";
import type { Message } from "../messages.ts";
import type { Reset, Room, RoomStatus, Unsubscribe } from "../types.ts";
import { asError } from "./failure.ts";
import { Log } from "./log.ts";
import { type History, Past } from "./past.ts";
import { Store } from "./store.ts";

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
export interface RoomObserver {
  readonly history?: History;
  readonly onMessage?: (message: Message) => void;
  readonly onReset?: (reset: Reset) => void;
}

export const CLOSED: RoomSnapshot = { status: "closed", messages: [], error: undefined, lost: undefined };
const PENDING: RoomSnapshot = { ...CLOSED, status: "pending" };

export class RoomStore extends Store<RoomSnapshot> {
  readonly #openRoom: () => Room;
  readonly #log: Log;
  readonly #observers = new Set<() => RoomObserver>();
  readonly #past = new Past(
    (messages, isAgain) => this.#filled(messages, isAgain),
    (error) => this.#failed(error),
  );
  #room: Room | undefined;
  #error: RealtimeError | undefined;
  #lost: Reset | undefined;

  constructor(openRoom: () => Room, limit: number) {
    super();
    this.#openRoom = openRoom;
    this.#log = new Log(limit);
  }

  /** `current` gives the newest wishes of a component, for as long as it is there. */
  observe(current: () => RoomObserver, limit: number): Unsubscribe {
    this.#log.keep(limit);
    this.#observers.add(current);
    this.#look();
    return () => {
      this.#observers.delete(current);
    };
  }

  protected open(): Unsubscribe[] {
    try {
      this.#room = this.#openRoom();
    } catch (error) {
      this.#error = asError(error);
      return [];
    }
    const room = this.#room;
    return [
      () => room.close(),
      room.on("*", (message) => this.#receive(message)),
      room.on("@status", () => this.#look()),
      room.on("@error", (error) => this.#failed(error)),
      room.on("@reset", (reset) => this.#reset(reset)),
    ];
  }

  protected reset(): void {
    this.#room = undefined;
    this.#error = undefined;
    this.#lost = undefined;
    this.#log.clear();
    this.#past.reset();
  }

  protected build(): RoomSnapshot {
    if (!this.#room && !this.#error) return PENDING;
    const status = this.#room?.status ?? "refused";
    return { status, messages: this.#log.take(), error: this.#error, lost: this.#lost };
  }

  #receive(message: Message): void {
    this.#log.add(message);
    this.changed();
    for (const observer of [...this.#observers]) observer().onMessage?.(message);
  }

  #look(): void {
    if (this.#room?.status === "live") {
      this.#error = undefined;
      this.#past.live(this.#history());
    }
    this.changed();
  }

  #failed(error: unknown): void {
    this.#error = asError(error);
    this.changed();
  }

  #reset(reset: Reset): void {
    this.#lost = reset;
    this.#log.cut();
    this.#past.lost(this.#history());
    this.changed();
    for (const observer of [...this.#observers]) observer().onReset?.(reset);
  }

  #filled(messages: readonly Message[], isAgain: boolean): void {
    this.#error = undefined;
    const newer = isAgain ? this.#log.sinceCut() : [];
    if (isAgain) this.#log.clear();
    for (const message of [...messages, ...newer]) this.#log.add(message);
    this.changed();
  }

  #history(): History | undefined {
    for (const observer of this.#observers) if (observer().history) return observer().history;
    return undefined;
  }
}
