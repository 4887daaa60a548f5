// A client that wants to miss nothing: it comes back whenever it lost its connection, and goes on where it was. It is
// no SDK: it writes down what a test asks for afterwards.

import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { Inbox, type Published } from "./inbox.ts";
import { routeOf } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { Server } from "./runtime.ts";

export interface Habits {
  sub: string;
  device?: string;
  /** The room that it opens; that of its user is the general connection. */
  room: string;
  /** Rooms that it subscribes to. */
  rooms?: string[];
  /** Whether it says how far it came, rather than lean on the server's memory of it. */
  cursor?: boolean;
  /** Whether it confirms what it got. */
  acks?: boolean;
  /** Whether it takes batches. */
  batches?: boolean;
  /** Milliseconds between pings; it sends none without. */
  pingMs?: number;
  /** The longest pause before it tries again, in milliseconds. */
  longestPauseMs?: number;
}

/** How far each room is known to have come. */
export type Heads = (room: string) => number;

// biome-ignore lint/suspicious/noExplicitAny: frames have many shapes
type Data = any;

const PING = '{"type":"ping"}';
const ACK_EVERY = 50;
const ACK_MS = 100;
const FIRST_PAUSE_MS = 1_000;
const HANDSHAKE_MS = 10_000;
const ABANDONED_MS = 1_000;
const NOTICED_MS = 250;

export class Watcher {
  readonly habits: Habits;
  readonly inboxes = new Map<string, Inbox>();
  /** Refusals, and how many of each code. */
  readonly refused = new Map<string, number>();
  /** Milliseconds from each loss of the connection, or the end of an absence, until it had all that was known then. */
  readonly recoveries: number[] = [];
  connects = 0;
  /** When each lost connection was dialled, and when it was lost. */
  readonly lives: { from: number; to: number }[] = [];
  ephemeral = 0;
  #faults: string[] = [];
  readonly #server: Server;
  readonly #random: Random;
  readonly #heads: Heads;
  #socket: WebSocket | undefined;
  #stopped = false;
  /** Rooms that have not said yet where they go on. */
  #awaited = new Set<string>();
  /** What it has to have in order to be current again. */
  #target: Map<string, number> | undefined;
  #lostAt: number | undefined;
  #bound = FIRST_PAUSE_MS;
  #unconfirmed = new Map<string, number>();
  #timers = new Set<NodeJS.Timeout>();
  #dialled = 0;
  #pinging = false;
  #whenAnswered: (() => void) | undefined;

  constructor(server: Server, habits: Habits, random: Random, heads: Heads) {
    this.#server = server;
    this.habits = habits;
    this.#random = random;
    this.#heads = heads;
    // A room's own sockets get what leaves together by its priority; who subscribed gets all in order.
    this.inboxes.set(habits.room, new Inbox(habits.room, "by priority", this.isSure));
    for (const room of habits.rooms ?? []) this.inboxes.set(room, new Inbox(room, "strict", this.isSure));
  }

  /** What sort of client it is, in words. */
  get kind(): string {
    const { rooms = [], cursor = true, acks = false } = this.habits;
    return `${rooms.length > 0 ? "follows" : "watches"}${cursor ? "" : ", no cursor"}${acks ? ", confirms" : ""}`;
  }

  /** Whether it is sure to get everything: it says how far it is, in one way or the other. */
  get isSure(): boolean {
    return this.habits.cursor !== false || this.habits.acks === true;
  }

  /** Whatever came that should not have. */
  get faults(): string[] {
    return [...this.#faults, ...[...this.inboxes.values()].flatMap(({ faults }) => faults)];
  }

  /** Messages that it has, each counted once. */
  get deliveries(): number {
    return this.#sum(({ received }) => received.size);
  }

  /** Messages that came again, and were dropped. */
  get duplicates(): number {
    return this.#sum(({ duplicates }) => duplicates);
  }

  /** Whether it is connected, and hears all of its rooms. */
  get isSettled(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN && this.#awaited.size === 0;
  }

  /** Whether it has everything that is known to be there. */
  get isCurrent(): boolean {
    return this.isSettled && [...this.inboxes.values()].every(({ room, floor }) => floor >= this.#heads(room));
  }

  connect(): void {
    if (this.#stopped) return;
    const protocols = this.habits.batches === false ? [] : ["cidadao.v1"];
    const socket = new WebSocket(this.#url(), protocols, {
      headers: { authorization: `Bearer ${this.#server.token({ sub: this.habits.sub })}` },
      handshakeTimeout: HANDSHAKE_MS,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    this.#dialled = performance.now();
    this.#awaited = new Set(this.inboxes.keys());
    socket.on("message", (text) => this.#receive(socket, text.toString()));
    socket.on("error", () => {});
    socket.on("close", () => this.#lost(socket, this.#pause()));
  }

  /**
   * Pulls the plug: no closing frame goes out. It stays away for so long, if it says so. Not while a ping is under way:
   * a connection that breaks while workerd answers one by itself stays open for the worker for ever (workerd#1187).
   */
  cut(awayMs?: number): void {
    const socket = this.#socket;
    if (!socket) return;
    if (this.#pinging) {
      this.#whenAnswered = () => this.cut(awayMs);
      return;
    }
    if (awayMs !== undefined) this.#lost(socket, awayMs, awayMs);
    socket.terminate();
  }

  /** Comes back on a new connection while the old one hangs: a phone that went from one network to another. */
  abandon(): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    socket.pause();
    this.#lost(socket, 0);
    this.#later(ABANDONED_MS, () => socket.terminate());
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket?.terminate();
  }

  #sum(count: (inbox: Inbox) => number): number {
    return [...this.inboxes.values()].reduce((total, inbox) => total + count(inbox), 0);
  }

  #url(): string {
    const { room, device, acks, sub } = this.habits;
    const path = room === `user:${sub}` ? "/api/v1/ws" : routeOf(room);
    const query = new URLSearchParams({
      ...(device && { device }),
      ...(acks && { acks: "true" }),
      ...this.#cursor(room),
    });
    return this.#server.url(`${path}?${query}`, "ws");
  }

  /** How far it came in a room, if it was there before. */
  #cursor(room: string): { epoch?: string; since?: string } {
    const { first, epoch, floor } = this.inboxes.get(room) as Inbox;
    if (this.habits.cursor === false || first === undefined || epoch === undefined) return {};
    return { epoch, since: String(floor) };
  }

  /** The connection is gone, and the next is due after a pause. The time that it stays away on purpose does not count. */
  #lost(socket: WebSocket, pauseMs: number, awayMs = 0): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.lives.push({ from: this.#dialled, to: performance.now() });
    this.#target = undefined;
    this.#unconfirmed.clear();
    [this.#pinging, this.#whenAnswered] = [false, undefined];
    this.#lostAt ??= performance.now() + awayMs;
    this.#later(pauseMs, () => this.connect());
  }

  /**
   * Any time up to a bound that doubles with each failure. Who brings no cursor gives the server time to notice that it
   * is gone: before that it would be a second tab, which hears what comes from now on.
   */
  #pause(): number {
    const pause = this.#random.between(this.habits.cursor === false ? NOTICED_MS : 0, this.#bound);
    this.#bound = Math.min(this.#bound * 2, this.habits.longestPauseMs ?? 60_000);
    return pause;
  }

  #later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #receive(socket: WebSocket, text: string): void {
    if (socket !== this.#socket) return;
    const frame = JSON.parse(text);
    for (const each of frame.type === "batch" ? frame.messages : [frame]) this.#handle(socket, each);
    if (this.#target) this.#checkTarget();
  }

  #handle(socket: WebSocket, frame: Data): void {
    const { type, data } = frame;
    if (frame.room !== undefined) this.#take(socket, frame);
    else if (type === "connection" || type === "connection_established") this.#welcomed(socket, data);
    else if (type === "subscribed") this.#begin(data);
    else if (type === "error") this.#refuse(socket, data);
    else if (type === "pong") this.#answered();
  }

  #take(socket: WebSocket, frame: Published): void {
    const inbox = this.inboxes.get(frame.room);
    if (frame.seq === undefined) this.ephemeral += 1;
    else if (!inbox || this.#awaited.has(frame.room)) this.#faults.push(`${frame.room}: ${frame.seq} came unasked`);
    else {
      inbox.take(frame);
      if (this.habits.acks) this.#confirm(socket, frame.room);
    }
  }

  #welcomed(socket: WebSocket, data: Data): void {
    this.connects += 1;
    this.#bound = Math.min(data.reconnect_within_ms, this.habits.longestPauseMs ?? 60_000);
    for (const room of this.habits.rooms ?? []) this.#subscribe(socket, room);
    if (this.habits.pingMs) this.#ping(socket, this.habits.pingMs);
    this.#begin(data);
  }

  #begin(data: Data): void {
    this.inboxes.get(data.room)?.begin(data);
    this.#awaited.delete(data.room);
    if (this.#awaited.size > 0) return;
    this.#target = new Map([...this.inboxes.keys()].map((room) => [room, this.#heads(room)]));
    this.#checkTarget();
  }

  #subscribe(socket: WebSocket, room: string): void {
    const [kind, id] = room.split(/:(.*)/s);
    const { since, ...cursor } = this.#cursor(room);
    const data = { [`${kind}_id`]: id, ...cursor, ...(since && { since: Number(since) }) };
    socket.send(JSON.stringify({ type: "subscribe", data }));
  }

  #refuse(socket: WebSocket, { code, retry, original_type }: Data): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
    if (!retry) this.#faults.push(`refused with ${code}`);
    // A subscription that was refused names no room: ask for all that are awaited.
    if (original_type !== "subscribe") return;
    this.#later(this.#random.between(0, FIRST_PAUSE_MS), () => {
      if (socket !== this.#socket) return;
      for (const room of this.#awaited) this.#subscribe(socket, room);
    });
  }

  #checkTarget(): void {
    const target = this.#target ?? new Map();
    for (const [room, seq] of target) if ((this.inboxes.get(room)?.floor ?? 0) < seq) return;
    this.#target = undefined;
    if (this.#lostAt !== undefined) this.recoveries.push(performance.now() - this.#lostAt);
    this.#lostAt = undefined;
  }

  /** Confirms soon, for several messages together. */
  #confirm(socket: WebSocket, room: string): void {
    const count = (this.#unconfirmed.get(room) ?? 0) + 1;
    this.#unconfirmed.set(room, count);
    if (count === 1) this.#later(ACK_MS, () => this.#acknowledge(socket, room));
    if (count === ACK_EVERY) this.#acknowledge(socket, room);
  }

  #acknowledge(socket: WebSocket, room: string): void {
    if (socket !== this.#socket || socket.readyState !== WebSocket.OPEN || !this.#unconfirmed.delete(room)) return;
    const seq = this.inboxes.get(room)?.floor;
    const data = room === this.habits.room ? { seq } : { seq, room };
    socket.send(JSON.stringify({ type: "ack", data }));
  }

  #ping(socket: WebSocket, ms: number): void {
    if (socket !== this.#socket || socket.readyState !== WebSocket.OPEN) return;
    socket.send(PING);
    this.#pinging = true;
    this.#later(ms, () => this.#ping(socket, ms));
  }

  #answered(): void {
    this.#pinging = false;
    this.#whenAnswered?.();
  }
}

/** Waits until all of them are as wanted, for a limited time; returns those that are not. */
export async function settle(watchers: Watcher[], wanted: "isSettled" | "isCurrent", ms: number): Promise<Watcher[]> {
  const deadline = performance.now() + ms;
  for (;;) {
    const others = watchers.filter((watcher) => !watcher[wanted]);
    if (others.length === 0 || performance.now() > deadline) return others;
    await sleep(20);
  }
}
