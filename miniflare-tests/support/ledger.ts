// What a worker has acknowledged: it is bound to that, whatever happens to it afterwards.

const COLLECTIONS: Record<string, string> = { investigation: "investigations", user: "users" };

/** The path of a room's routes: `investigation:1` is at `/api/v1/ws/investigations/1`. */
export function routeOf(room: string): string {
  const [kind = "", id = ""] = room.split(/:(.*)/s);
  return `/api/v1/ws/${COLLECTIONS[kind] ?? kind}/${encodeURIComponent(id)}`;
}

export class Ledger {
  /** Of each room, where each message stands. */
  readonly rooms = new Map<string, Map<string, number>>();
  /** Answers that contradict each other. */
  readonly faults: string[] = [];
  #ids = new Map<string, string>();
  #heads = new Map<string, number>();
  #times = new Map<string, number>();

  /** How many messages were acknowledged. */
  get size(): number {
    return this.#ids.size;
  }

  /** The newest message of a room that is known to be in its log. */
  head(room: string): number {
    return this.#heads.get(room) ?? 0;
  }

  /** When it was first acknowledged that this place is taken. */
  time(room: string, seq: number): number {
    return this.#times.get(`${room} ${seq}`) ?? 0;
  }

  acknowledge(room: string, id: string, seq: number): void {
    const known = this.#messages(room).get(id);
    const other = this.#ids.get(`${room} ${seq}`);
    if (known !== undefined && known !== seq) this.faults.push(`${room}: ${id} stands at ${known} and at ${seq}`);
    if (other !== undefined && other !== id) this.faults.push(`${room}: ${seq} is the place of ${other} and of ${id}`);
    this.#messages(room).set(id, seq);
    this.#ids.set(`${room} ${seq}`, id);
    if (other === undefined) this.#times.set(`${room} ${seq}`, performance.now());
    this.#heads.set(room, Math.max(this.head(room), seq));
  }

  #messages(room: string): Map<string, number> {
    const messages = this.rooms.get(room) ?? new Map<string, number>();
    this.rooms.set(room, messages);
    return messages;
  }
}
