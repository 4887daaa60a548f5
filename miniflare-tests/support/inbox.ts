// What one client has of one room, and how far it has everything.

export interface Published {
  id: string;
  seq: number;
  room: string;
  // biome-ignore lint/suspicious/noExplicitAny: publishers put anything there
  data: any;
}

export interface Position {
  epoch?: string;
  seq: number;
  recovered?: boolean;
}

/** Whether the messages of a room may overtake each other, which they may by their priority alone. */
export type Order = "by priority" | "strict";

export class Inbox {
  readonly room: string;
  /** Everything after this one is owed. */
  first: number | undefined;
  epoch: string | undefined;
  /** The client has this one and all before it, since `first`. */
  floor = 0;
  readonly received = new Map<number, string>();
  /** Messages that came again, and were dropped. */
  duplicates = 0;
  readonly faults: string[] = [];
  #order: Order;
  #sure: boolean;
  #above = new Set<number>();
  #ids = new Set<string>();
  #newest = new Map<string, number>();

  /** Who is `sure` to get everything may not find that messages are missing. */
  constructor(room: string, order: Order, sure: boolean) {
    this.room = room;
    this.#order = order;
    this.#sure = sure;
  }

  /** A welcome: everything after this position comes. */
  begin({ epoch, seq, recovered }: Position): void {
    if (this.first === undefined) this.#start(epoch, seq);
    if (recovered === false) this.faults.push(`${this.room}: not recovered, having ${this.floor}, at ${seq}`);
    else if (seq > this.floor && this.#sure)
      this.faults.push(`${this.room}: goes on after ${seq}, but has only ${this.floor}`);
    if (this.epoch !== epoch) this.faults.push(`${this.room}: the epoch was ${this.epoch}, and is ${epoch}`);
    if (seq > this.floor) this.#advance(seq);
    this.epoch = epoch;
  }

  /** Whether the message is news. */
  take({ seq, id, data }: Published): boolean {
    if (seq <= this.floor || this.#above.has(seq)) {
      this.#compare(seq, id);
      return false;
    }
    this.#checkOrder(seq, data?.priority ?? "normal");
    if (this.#ids.has(id)) this.faults.push(`${this.room}: ${id} came at ${seq} and at another place`);
    this.#ids.add(id);
    this.received.set(seq, id);
    this.#above.add(seq);
    this.#advance(this.floor);
    return true;
  }

  /** Nothing is owed any more up to `floor`, nor what is already here of that which comes next. */
  #advance(floor: number): void {
    this.floor = floor;
    while (this.#above.delete(this.floor + 1)) this.floor += 1;
  }

  #start(epoch: string | undefined, seq: number): void {
    this.first = seq;
    this.floor = seq;
    this.epoch = epoch;
  }

  /** Dropped, but it must be the same message. */
  #compare(seq: number, id: string): void {
    this.duplicates += 1;
    const known = this.received.get(seq);
    if (known !== undefined && known !== id) this.faults.push(`${this.room}: ${seq} was ${known}, and is ${id}`);
  }

  #checkOrder(seq: number, priority: string): void {
    const group = this.#order === "strict" ? "" : priority;
    const newest = this.#newest.get(group) ?? 0;
    if (seq < newest) this.faults.push(`${this.room}: ${seq} came after ${newest}`);
    this.#newest.set(group, Math.max(seq, newest));
  }
}
