// @cidadao/realtime/tabs: one general connection for all tabs of a user.

import { createClient } from "../client.ts";
import { closed } from "../deferred.ts";
import { Emitter } from "../emitter.ts";
import { RealtimeError } from "../errors.ts";
import type { Message } from "../messages.ts";
import { roomName } from "../protocol.ts";
import { whenReady } from "../ready.ts";
import { stopOf } from "../state.ts";
import type {
  Chat,
  ChatOptions,
  Client,
  ClientOptions,
  ConnectionState,
  Room,
  RoomKind,
  RoomOptions,
  Unsubscribe,
} from "../types.ts";
import { Leader } from "./leader.ts";
import { TabHandle, TabRoom } from "./room.ts";
import { Seat } from "./seat.ts";
import { type Told, unpackState, type Wish, type Word } from "./wire.ts";

export interface TabsOptions extends ClientOptions {
  /** Tabs of one group share: name the user in it, so that two who are signed in at once have one each. */
  group: string;
}

/**
 * A client whose general connection, with the rooms heard over it, is shared by all tabs of the group: one of them has
 * it, and when that one closes or dies another takes over, from where each tab was. Chats are not shared: each tab has a
 * connection for each of its own.
 */
export function createTabsClient(options: TabsOptions): Client {
  return new TabsClient(options);
}

/** How many messages of the user's own room are recognised when they come again. */
const MAX_SEEN = 2_000;

class TabsClient implements Client {
  readonly #options: TabsOptions;
  readonly #seat: Seat;
  readonly #emitter = new Emitter();
  readonly #rooms = new Map<string, TabRoom>();
  readonly #seen = new Set<string>();
  readonly #saved = new Map<string, string>();
  #chats: Client | undefined;
  #leader: Leader | undefined;
  #leaderId: string | undefined;
  #state: ConnectionState = { status: "idle" };
  #isConnecting = false;
  #wasLeft = false;
  #isClosed = false;
  #turns = 0;

  constructor(options: TabsOptions) {
    this.#options = options;
    this.#seat = new Seat(`${options.url} ${options.group}`, (word) => this.#hear(word));
    this.#seat.claim(() => this.#lead());
    this.#seat.post({ type: "asks" });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  connect(): void {
    if (this.#isClosed) return;
    this.#wasLeft = false;
    this.#isConnecting = true;
    const { status } = this.#state;
    if (status === "idle" || status === "stopped") this.#become({ status: "connecting", attempt: 1 });
    this.#wish();
    if (status === "stopped") this.#check(true);
  }

  disconnect(): void {
    this.#wasLeft = true;
    this.#isConnecting = false;
    this.#become({ status: "idle" });
    for (const room of this.#rooms.values()) room.pause();
    this.#wish();
  }

  check(): void {
    this.#check(false);
    this.#chats?.check();
  }

  ready(): Promise<void> {
    return whenReady(this, this.#emitter, () => this.#isClosed);
  }

  on(name: string, listener: (event: never) => void): Unsubscribe {
    if (!name.startsWith("@")) this.#autoConnect();
    return this.#emitter.on(name, listener);
  }

  room(kind: RoomKind, id: string, { since }: RoomOptions = {}): Room {
    const name = roomName(kind, id);
    const handle = new TabHandle(() => this.#share(name), since);
    this.#autoConnect();
    return handle;
  }

  investigation(id: string, options?: RoomOptions): Room {
    return this.room("investigation", id, options);
  }

  analysis(id: string, options?: RoomOptions): Room {
    return this.room("analysis", id, options);
  }

  chat(sessionId: string, options?: ChatOptions): Chat {
    if (this.#isClosed) throw closed();
    this.#chats ??= createClient(this.#options);
    return this.#chats.chat(sessionId, options);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.disconnect();
    for (const room of [...this.#rooms.values()]) for (const handle of [...room.handles]) handle.close();
    this.#seat.post({ type: "leaves", from: this.#seat.id });
    this.#isClosed = true;
    await Promise.all([this.#leader?.close(), this.#chats?.close()]);
    this.#seat.close();
    this.#emitter.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(retry: boolean): void {
    if (this.#leader) this.#leader.check(retry);
    else this.#seat.post({ type: "checks", retry });
  }

  #autoConnect(): void {
    if (this.#options.autoConnect !== false && !this.#wasLeft && !this.#isConnecting) this.connect();
  }

  #share(name: string): TabRoom {
    if (this.#isClosed) throw closed();
    return this.#rooms.get(name) ?? this.#newRoom(name);
  }

  /** A turn is never used again: another room of the same name is another wish. */
  #newRoom(name: string): TabRoom {
    this.#turns += 1_000_000;
    const changed = () => {
      if (room.handles.size === 0) this.#rooms.delete(name);
      this.#wish();
    };
    const room = new TabRoom(name, this.#turns, changed, () => stopOf(this.#state));
    this.#rooms.set(name, room);
    return room;
  }

  #lead(): void {
    const { id } = this.#seat;
    this.#leader = new Leader(this.#options, this.#saved, (to, told) => {
      if (to !== id) this.#seat.post({ type: "tells", leader: id, to, told });
      else for (const each of told) this.#heard(each);
    });
    this.#leaderId = id;
    for (const room of this.#rooms.values()) room.pause();
    this.#seat.post({ type: "leads", leader: id });
    this.#wish();
  }

  /** Says all that this tab wants, to whoever leads. */
  #wish(): void {
    if (this.#isClosed) return;
    const rooms: Record<string, Wish> = {};
    if (this.#isConnecting) for (const { name, since, turn } of this.#rooms.values()) rooms[name] = { since, turn };
    const wishes = { type: "wishes", from: this.#seat.id, isConnecting: this.#isConnecting, rooms } as const;
    if (this.#leader) this.#leader.wish(wishes);
    else this.#seat.post(wishes);
  }

  #hear(word: Word): void {
    if (this.#isClosed) return;
    if (word.type === "leads") this.#follow(word.leader);
    else if (word.type === "asks") this.#answer();
    else if (word.type === "tells") this.#listen(word);
    else if (word.type === "leaves") this.#leader?.leave(word.from);
    else if (word.type === "checks") this.#leader?.check(word.retry);
    else if (this.#leader) {
      this.#leader.wish(word);
      this.#seat.watch(word.from, () => this.#leader?.leave(word.from));
    }
  }

  #answer(): void {
    if (this.#leader) this.#seat.post({ type: "leads", leader: this.#seat.id });
  }

  /** Goes on from where this tab is. */
  #follow(leader: string): void {
    if (leader === this.#leaderId) return;
    this.#leaderId = leader;
    for (const room of this.#rooms.values()) room.pause();
    this.#wish();
  }

  #listen({ leader, to, told }: Extract<Word, { type: "tells" }>): void {
    if (leader !== this.#leaderId || to !== this.#seat.id) return;
    for (const each of told) this.#heard(each);
  }

  #heard(told: Told): void {
    if (told.type === "saved") this.#save(told.key, told.value);
    else if (told.type === "state") this.#become(unpackState(told.state));
    else if (!this.#isConnecting) return;
    else if (told.type === "message") this.#receive(told.message);
    else if (told.type === "error") this.#emitter.emit("@error", new RealtimeError(told.error));
    else this.#changed(told);
  }

  #receive(message: Message): void {
    if (!this.#rooms.has(message.room) && !this.#isNew(message)) return;
    this.#emitter.publish(message);
    for (const handle of [...(this.#rooms.get(message.room)?.handles ?? [])]) handle.publish(message);
  }

  /** A leader that died may have been further in the user's own room than the next one knows, which hears it again. */
  #isNew({ room, id }: Message): boolean {
    const name = `${room} ${id}`;
    if (this.#seen.has(name)) return false;
    this.#seen.add(name);
    if (this.#seen.size > MAX_SEEN)
      for (const oldest of [...this.#seen].slice(0, MAX_SEEN / 2)) this.#seen.delete(oldest);
    return true;
  }

  #changed(told: Extract<Told, { room: string }>): void {
    const room = this.#rooms.get(told.room);
    if (told.type === "reset") this.#emitter.emit("@reset", { room: told.room, cursor: told.cursor });
    if (!room) return;
    if (told.type === "status") room.changed(told.status, told.error && new RealtimeError(told.error));
    else room.cursor = told.cursor;
    if (told.type === "reset") for (const handle of [...room.handles]) handle.reset(told.cursor);
  }

  #save(key: string, value: string | undefined): void {
    if (value === undefined) this.#saved.delete(key);
    else this.#saved.set(key, value);
  }

  /** A tab that has left stays away, whatever the others do. */
  #become(state: ConnectionState): void {
    if (!this.#isConnecting && state.status !== "idle") return;
    if (this.#isConnecting && state.status === "idle") return;
    this.#state = state;
    this.#emitter.emit("@state", state);
    for (const room of this.#rooms.values()) for (const handle of [...room.handles]) handle.state(state);
  }
}
