// The tab that has the connection: it hears for every tab what that tab wants.

import type { RealtimeError } from "../errors.ts";
import { GeneralClient } from "../general.ts";
import type { Message } from "../messages.ts";
import type { ClientOptions, CursorStorage, Reset, Room, RoomKind } from "../types.ts";
import { packState, plain, type Told, type Wish, type Wishes } from "./wire.ts";

/** Carries what is told to a tab. */
export type Tell = (to: string, told: readonly Told[]) => void;

interface Tab {
  isConnecting: boolean;
  readonly rooms: Map<string, { room: Room; turn: number }>;
}

export class Leader {
  readonly #client: GeneralClient;
  readonly #tell: Tell;
  readonly #tabs = new Map<string, Tab>();
  readonly #saved: Map<string, string>;
  /** What is told at the end of this turn, in order. */
  #waiting: { to: string | undefined; told: Told }[] = [];
  #isClosed = false;

  /** `saved` is what the leaders before have kept. */
  constructor(options: ClientOptions, saved: Map<string, string>, tell: Tell) {
    this.#saved = saved;
    this.#tell = tell;
    const storage = this.#storage(options.storage);
    // A leader that dies in its first second has told nobody how far it was: then the server knows what it confirmed.
    this.#client = new GeneralClient({ ...options, acks: true, autoConnect: false, storage });
    this.#client.on("@state", () => this.#say(undefined, this.#state()));
    this.#client.on("@error", (error: RealtimeError) => this.#say(undefined, { type: "error", error: plain(error) }));
    this.#client.on("*", (message: Message) => {
      if (isForAll(message.room)) this.#say(undefined, { type: "message", message });
    });
    this.#client.on("@reset", ({ room, cursor }: Reset) => {
      if (isForAll(room)) this.#say(undefined, { type: "reset", room, cursor });
    });
  }

  /** Does what a tab wants now, and nothing that it wanted before. */
  wish({ from, isConnecting, rooms }: Wishes): void {
    const tab = this.#tabs.get(from) ?? this.#welcome(from);
    tab.isConnecting = isConnecting;
    for (const name of [...tab.rooms.keys()]) if (!rooms[name]) this.#drop(tab, name);
    for (const [name, wish] of Object.entries(rooms)) this.#hear(from, tab, name, wish);
    this.#connectIfWanted();
  }

  leave(from: string): void {
    const tab = this.#tabs.get(from);
    if (!tab) return;
    for (const name of [...tab.rooms.keys()]) this.#drop(tab, name);
    this.#tabs.delete(from);
    this.#connectIfWanted();
  }

  /** Looks whether the connection lives; with `retry`, tries again though it has stopped. */
  check(retry: boolean): void {
    if (retry && this.#client.state.status === "stopped") this.#client.connect();
    else this.#client.check();
    // Connecting begins a moment later: until then nothing has changed.
    if (this.#client.state.status !== "stopped") this.#say(undefined, this.#state());
  }

  /** The last thing that it tells is how far it was. */
  async close(): Promise<void> {
    await this.#client.close();
    this.#isClosed = true;
  }

  #welcome(from: string): Tab {
    const tab: Tab = { isConnecting: false, rooms: new Map() };
    this.#tabs.set(from, tab);
    for (const [key, value] of this.#saved) this.#say(from, { type: "saved", key, value });
    this.#say(from, this.#state());
    return tab;
  }

  #connectIfWanted(): void {
    const { status } = this.#client.state;
    const isWanted = [...this.#tabs.values()].some(({ isConnecting }) => isConnecting);
    if (isWanted && status === "idle") this.#client.connect();
    if (!isWanted && status !== "idle") this.#client.disconnect();
  }

  #drop(tab: Tab, name: string): void {
    tab.rooms.get(name)?.room.close();
    tab.rooms.delete(name);
  }

  #hear(from: string, tab: Tab, name: string, { since, turn }: Wish): void {
    if (tab.rooms.get(name)?.turn === turn) return;
    const before = tab.rooms.get(name)?.room;
    const [kind, id] = split(name);
    const room = this.#client.room(kind, id, since ? { since } : {});
    tab.rooms.set(name, { room, turn });
    this.#listen(from, room);
    before?.close();
    this.#status(from, room);
  }

  /** Closing the room ends that. */
  #listen(from: string, room: Room): void {
    room.on("*", (message) => {
      this.#say(from, { type: "message", message });
      this.#place(from, room);
    });
    room.on("@error", (error) => this.#status(from, room, error));
    room.on("@status", () => this.#status(from, room));
    room.on("@reset", ({ cursor }) => this.#say(from, { type: "reset", room: room.name, cursor }));
  }

  #status(from: string, room: Room, error?: RealtimeError): void {
    if (room.status === "closed") return;
    this.#say(from, { type: "status", room: room.name, status: room.status, error: error && plain(error) });
    this.#place(from, room);
  }

  #place(from: string, { name, cursor }: Room): void {
    if (cursor) this.#say(from, { type: "place", room: name, cursor });
  }

  #state(): Told {
    return { type: "state", state: packState(this.#client.state) };
  }

  /**
   * Cursors run ahead of the messages that are just being handed out, so what belongs together is told together: a tab
   * that goes on from a cursor has everything before it, whenever this one dies.
   */
  #say(to: string | undefined, told: Told): void {
    if (this.#isClosed) return;
    this.#waiting.push({ to, told });
    if (this.#waiting.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const tab of this.#tabs.keys()) {
      const told = waiting.filter(({ to }) => to === undefined || to === tab).map(({ told }) => told);
      if (told.length > 0) this.#tell(tab, told);
    }
  }

  /** The place in the user's own room is kept with the other tabs too: whoever leads next goes on from there. */
  #storage(beneath: CursorStorage | undefined): CursorStorage {
    return {
      get: (key) => this.#saved.get(key) ?? beneath?.get(key),
      set: (key, value) => {
        if (isOwn(key)) this.#save(key, value);
        return beneath?.set(key, value);
      },
      remove: (key) => {
        if (isOwn(key)) this.#save(key, undefined);
        return beneath?.remove(key);
      },
    };
  }

  #save(key: string, value: string | undefined): void {
    if (value === undefined) this.#saved.delete(key);
    else this.#saved.set(key, value);
    this.#say(undefined, { type: "saved", key, value });
  }
}

const isOwn = (key: string) => key.endsWith(":/api/v1/ws");
const isForAll = (room: string) => /^(user|system):/.test(room);

function split(name: string): [RoomKind, string] {
  const colon = name.indexOf(":");
  return [name.slice(0, colon) as RoomKind, name.slice(colon + 1)];
}
