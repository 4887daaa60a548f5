// One connection to one room, as a state machine: no socket, no clock, no randomness of its own.

import { Backoff } from "./backoff.ts";
import { Credentials } from "./credentials.ts";
import type { Effect, Input, Settings } from "./effects.ts";
import { RealtimeError, type Refusal } from "./errors.ts";
import { Inbox, type Progress } from "./inbox.ts";
import { Liveness } from "./liveness.ts";
import type { Cursor, Message } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import {
  type Control,
  confirm,
  cursorOf,
  type Fields,
  frame,
  isMessage,
  PING,
  parse,
  placeOf,
  refusalOf,
} from "./protocol.ts";
import type { Change } from "./subscriptions.ts";
import { NEVER } from "./time.ts";
import type { ConnectionState } from "./types.ts";
import { type Verdict, verdict, verdictOf } from "./verdict.ts";

/** From asking for a token to the welcome. */
const CONNECT_MS = 20_000;
/** What lived this long was no failure, and the next wait is a first one. */
const STABLE_MS = 10_000;
/** A device that sleeps stops its timers. So there is a tick this often, and who finds it late by half has slept. */
const TICK_MS = 10_000;
const ASLEEP_MS = 15_000;
/** Whatever wakes it, it does not dial more often. */
const EAGER_MS = 1_000;

/** What an `error` about no frame says when the connection ends. */
const ENDS = ["DISCONNECTED", "SESSION_DELETED", "TIMEOUT", "TOKEN_EXPIRED"];

type Phase = "idle" | "token" | "dialing" | "live" | "waiting" | "stopped";

export class Machine {
  readonly #settings: Settings;
  readonly #backoff: Backoff;
  readonly #credentials = new Credentials();
  readonly #inbox = new Inbox();
  readonly #liveness = new Liveness();
  readonly #outbox: Outbox | undefined;
  #phase: Phase = "idle";
  #state: ConnectionState = { status: "idle" };
  #effects: Effect[] = [];
  #now = 0;
  #wall = 0;
  /** When a phase that does not last ends. */
  #phaseEnds = NEVER;
  #welcomedAt = NEVER;
  #dialedAt = -EAGER_MS;
  /** The server wants no attempt before. */
  #notBefore = 0;
  /** What an `error` said that was about no frame: perhaps why the socket closes next. */
  #refusal: Refusal | undefined;
  #isHidden = false;
  #isOffline = false;

  constructor(settings: Settings, random: () => number) {
    this.#settings = settings;
    this.#backoff = new Backoff(settings.maxDelayMs, random);
    this.#outbox = settings.outbox;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** How far it is: in its own room, unless another is named. */
  cursor(room?: string): Cursor | undefined {
    return room === undefined ? this.#inbox.cursor : this.#inbox.subscriptions.position(room)?.cursor;
  }

  /** When to come with a `tick`, if nothing else happens. */
  get deadline(): number | undefined {
    const isLive = this.#phase === "live";
    const earliest = Math.min(
      this.#phaseEnds,
      isLive || this.#phase === "waiting" ? this.#now + TICK_MS : NEVER,
      this.#inbox.subscriptions.deadline(isLive),
      ...(isLive
        ? [this.#liveness.deadline, this.#inbox.deadline, this.#outbox?.deadline ?? NEVER, this.#credentials.deadline]
        : []),
    );
    return earliest === NEVER ? undefined : earliest;
  }

  /**
   * What is to be done about it. `now` never goes back, and on some devices it stands still while they sleep; `wall` is
   * the time of day, which people and networks set.
   */
  handle(input: Input, now: number, wall: number = now): Effect[] {
    this.#effects = [];
    const wasAsleep = input.type === "tick" && Math.max(now - this.#now, wall - this.#wall) > ASLEEP_MS;
    this.#now = now;
    this.#wall = wall;
    if (wasAsleep) this.#wake();
    this.#take(input);
    this.#catchUp();
    return this.#effects;
  }

  /** Whether there is a socket, welcome or not. */
  get #isOpen(): boolean {
    return this.#phase === "dialing" || this.#phase === "live";
  }

  #take(input: Input): void {
    switch (input.type) {
      case "connect":
        if (this.#phase === "idle" || this.#phase === "stopped") this.#begin();
        break;
      case "disconnect":
        this.#disconnect();
        break;
      case "token":
        if (input.own) this.#inbox.restore(input.own.room, input.own);
        this.#gotToken(input.token, input.expiresAt);
        break;
      case "token-failed":
        this.#noToken();
        break;
      case "frame":
        this.#receive(input.text);
        break;
      case "closed":
        this.#closed(input.code, input.reason);
        break;
      case "refused":
        this.#turnedAway(input.refusal);
        break;
      case "subscribe":
        this.#announce(this.#inbox.subscriptions.want(input.room, input.cursor, this.#now));
        break;
      case "unsubscribe":
        this.#inbox.subscriptions.release(input.room, this.#now);
        break;
      case "send":
        this.#send(input.frame, input.kind, input.id);
        break;
      case "bytes":
        this.#liveness.busy();
        this.#transmit(input.bytes);
        break;
      case "withdraw":
        this.#pushAll(this.#outbox?.withdraw(input.id));
        break;
      case "offline":
        this.#isOffline = true;
        this.#liveness.probe(this.#now);
        break;
      case "wake":
        this.#isOffline = false;
        this.#wake();
        break;
      case "visibility":
        this.#isHidden = input.isHidden;
        if (!input.isHidden) this.#wake();
        break;
    }
  }

  /** Whatever is due by now. */
  #catchUp(): void {
    if (this.#now >= this.#phaseEnds) this.#phaseEnded();
    const isLive = this.#phase === "live";
    for (const text of this.#inbox.subscriptions.due(this.#now, isLive)) this.#transmit(text);
    if (!isLive) return;
    if (this.#now >= this.#credentials.deadline) this.#askForAnother();
    const text = this.#outbox?.next(this.#now);
    if (text !== undefined) this.#transmit(text);
    this.#settle();
    this.#look();
  }

  /** Whether the connection still serves. */
  #look(): void {
    const due = this.#liveness.due(this.#now);
    if (due === "ping") this.#transmit(PING);
    else if (due || this.#inbox.isStuck(this.#now)) this.#giveUp();
  }

  // Connecting

  #begin(): void {
    this.#dialedAt = this.#now;
    this.#phaseEnds = this.#now + CONNECT_MS;
    this.#setState("token", { status: "connecting", attempt: this.#backoff.attempt });
    const token = this.#credentials.usable(this.#wall);
    if (token === undefined) this.#push({ type: "token", reason: this.#credentials.reason });
    else this.#dial(token);
  }

  #dial(token: string): void {
    this.#phase = "dialing";
    const cursor = this.#inbox.cursor;
    const place = cursor && { epoch: cursor.epoch, since: String(cursor.seq) };
    this.#push({ type: "dial", token, query: { ...this.#settings.query, ...place } });
  }

  #disconnect(): void {
    if (this.#phase === "idle") return;
    this.#hangUp();
    this.#setState("idle", { status: "idle" });
  }

  /** An attempt has taken too long, or a wait is over. */
  #phaseEnded(): void {
    if (this.#phase === "waiting") this.#begin();
    else {
      this.#hangUp();
      this.#retry(new RealtimeError({ code: "CONNECT_TIMEOUT", message: "No welcome came.", retry: true }));
    }
  }

  /** No pong came, or a hole in the room does not fill. */
  #giveUp(): void {
    this.#hangUp();
    this.#retry(new RealtimeError({ code: "CONNECTION_LOST", message: "Nothing came.", retry: true }));
  }

  /** The socket is gone. */
  #closed(number: number, reason: string): void {
    if (!this.#isOpen) return;
    // The last `error` explains it, if it is of that code, or a network has swallowed which.
    const explains = reason === this.#refusal?.code || (reason === "" && number === 1008);
    const refusal = explains ? this.#refusal : undefined;
    const code = reason || (refusal?.code ?? "");
    const what = verdict(number, code);
    const message = `Closed with ${number}.`;
    this.#follow(
      what,
      new RealtimeError({ code: code || "CONNECTION_LOST", message, ...refusal, retry: what !== "stop" }, number),
    );
  }

  /** The server has said that it will end this connection, or that there will be none: its close may come much later. */
  #turnedAway(refusal: Refusal): void {
    if (!this.#isOpen) return;
    this.#push({ type: "hangup" });
    this.#follow(verdictOf(refusal), new RealtimeError(refusal));
  }

  #follow(what: Verdict, error: RealtimeError): void {
    this.#notBefore = this.#now + (error.retryAfterMs ?? 0);
    if (what === "cursor") this.#inbox.lose();
    if (what === "stop" || (what === "token" && !this.#credentials.refused(error.code))) this.#stop(error);
    else this.#retry(error);
  }

  #retry(reason: RealtimeError): void {
    this.#end();
    if (this.#now - this.#welcomedAt >= STABLE_MS) this.#backoff.reset();
    this.#welcomedAt = NEVER;
    const wait = this.#backoff.next(this.#isHidden || this.#isOffline ? 2 : 1);
    this.#phaseEnds = Math.max(this.#now + wait, this.#notBefore);
    this.#wait(reason);
  }

  #wait(reason: RealtimeError): void {
    const retryAt = this.#phaseEnds - this.#now + this.#wall;
    this.#setState("waiting", { status: "waiting", attempt: this.#backoff.attempt, retryAt, reason });
  }

  #stop(reason: RealtimeError): void {
    this.#end();
    this.#pushAll(this.#outbox?.clear(reason));
    this.#setState("stopped", { status: "stopped", reason });
  }

  #hangUp(): void {
    if (this.#phase === "live") this.#settle(true);
    if (this.#isOpen) this.#push({ type: "hangup" });
    this.#end();
  }

  /** Nothing is open any more. */
  #end(): void {
    if (this.#phase === "live") {
      this.#save(this.#inbox.settle(this.#now, true));
      this.#announce(this.#inbox.subscriptions.suspend());
    }
    this.#phase = "idle";
    this.#phaseEnds = NEVER;
    this.#refusal = undefined;
    this.#credentials.suspend();
    this.#liveness.end();
    this.#outbox?.rewind();
  }

  /** Looks at once whether it lives, or comes back at once. */
  #wake(): void {
    this.#liveness.probe(this.#now);
    const soon = Math.max(this.#now, this.#notBefore, this.#dialedAt + EAGER_MS);
    if (this.#state.status !== "waiting" || soon >= this.#phaseEnds) return;
    this.#phaseEnds = soon;
    this.#wait(this.#state.reason);
  }

  // Tokens

  #gotToken(token: string | null, ends: number | undefined): void {
    if (this.#credentials.isRefreshing) this.#refresh(token, ends);
    else if (this.#phase === "token" && token === null) {
      this.#credentials.forget("connect");
      this.#stop(new RealtimeError({ code: "NO_TOKEN", message: "Nobody is signed in." }));
    } else if (this.#phase === "token" && token !== null) {
      this.#credentials.keep(token, ends);
      this.#dial(token);
    }
  }

  #noToken(): void {
    if (this.#credentials.isRefreshing) this.#credentials.retryLater(this.#now);
    else if (this.#phase === "token") {
      this.#retry(new RealtimeError({ code: "TOKEN_UNAVAILABLE", message: "No token came.", retry: true }));
    }
  }

  #askForAnother(): void {
    this.#credentials.askForAnother();
    this.#push({ type: "token", reason: "expiring" });
  }

  #refresh(token: string | null, ends: number | undefined): void {
    if (this.#credentials.replace(token, ends)) this.#transmit(frame("refresh", { token }));
    else this.#credentials.retryLater(this.#now);
  }

  // Sending

  #send(text: string, kind: string, id: string | undefined): void {
    if (id === undefined) this.#transmit(text);
    else if (this.#state.status === "stopped") this.#push({ type: "failed", id, error: this.#state.reason });
    else this.#pushAll(this.#outbox?.send(id, kind, text));
  }

  #transmit(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#phase === "live") this.#push({ type: "transmit", data });
  }

  /** Says and stores how far it is. */
  #settle(atOnce = false): void {
    const moved = this.#inbox.settle(this.#now, atOnce);
    for (const { room, seq, isOwn } of this.#settings.acks ? moved : []) {
      this.#transmit(confirm(seq, isOwn ? undefined : room));
    }
    this.#save(moved);
  }

  #save(moved: Progress[]): void {
    for (const { room, cursor, isOwn } of moved) if (cursor) this.#push({ type: "save", room, cursor, isOwn });
  }

  // Receiving

  #receive(text: string): void {
    if (!this.#isOpen) return;
    this.#liveness.heard();
    for (const each of parse(text)) {
      if (isMessage(each)) this.#published(each);
      else this.#control(each);
    }
  }

  #published(message: Message): void {
    if (!this.#inbox.take(message, this.#now)) return;
    // What was sent from here and comes back after a break has arrived, and says nothing new.
    const { id, seq } = message;
    if (seq !== undefined && this.#outbox?.wasSent(id)) this.#confirmed(id, seq, false);
    else this.#push({ type: "message", message });
  }

  #control(control: Control): void {
    const { type, data } = control;
    if (type === "connection" || type === "connection_established") this.#welcomed(data);
    else if (type === "error") this.#refused(data);
    else if (type === "subscribed") this.#subscribed(data);
    else if (type === "unsubscribed") this.#unsubscribed(data);
    else if (type === "ack") this.#acknowledged(data);
    else if (type === "token_expiring") this.#credentials.expiring(this.#now);
    else if (type === "refreshed") this.#refreshed();
    else if (type !== "pong" && type !== "heartbeat") this.#push({ type: "control", frame: control });
  }

  #welcomed(data: Fields): void {
    const place = placeOf(data);
    const room = data.room;
    if (!place || typeof room !== "string" || this.#phase !== "dialing") return;
    this.#phaseEnds = NEVER;
    this.#welcomedAt = this.#now;
    this.#refusal = undefined;
    this.#backoff.advertise(data.reconnect_within_ms);
    this.#liveness.begin(this.#now);
    this.#setState("live", { status: "connected", connectionId: String(data.connection_id ?? ""), room });
    if (this.#inbox.welcome(room, place, this.#now)) this.#push({ type: "reset", room, cursor: cursorOf(place) });
    this.#refreshed();
    this.#push({ type: "control", frame: { type: "connection", data } });
  }

  #subscribed(data: Fields): void {
    const place = placeOf(data);
    if (place) this.#announce(this.#inbox.subscribed(String(data.room), place, this.#now));
  }

  /** Or it was refused to end it: then it is heard still, if it is wanted again. */
  #unsubscribed({ room }: Fields): void {
    this.#announce(this.#inbox.subscriptions.unsubscribed(String(room)));
  }

  /** The token was taken: it may open what the last one did not. */
  #refreshed(): void {
    this.#credentials.accepted();
    this.#announce(this.#inbox.subscriptions.reconsider());
  }

  #announce(changes: Change[]): void {
    for (const { room, status, error, reset } of changes) {
      this.#push({ type: "room", room, status, error });
      if (reset) this.#push({ type: "reset", room, cursor: reset });
    }
  }

  #acknowledged({ id, seq, duplicate }: Fields): void {
    if (typeof seq !== "number") return;
    this.#inbox.count(seq, this.#now);
    if (typeof id === "string") this.#confirmed(id, seq, duplicate === true);
  }

  #confirmed(id: string, seq: number, duplicate: boolean): void {
    this.#pushAll(this.#outbox?.confirmed(id, seq, duplicate));
  }

  #refused(data: Fields): void {
    const refusal = refusalOf(data);
    const about = refusal.original_type;
    if (about === undefined) this.#refusal = refusal;
    if (this.#phase === "dialing" || (about === undefined && ENDS.includes(refusal.code))) this.#turnedAway(refusal);
    else if (about === "subscribe") this.#announce(this.#inbox.subscriptions.refused(refusal, this.#now));
    else if (about === "unsubscribe") this.#unsubscribed(data);
    else if (about === "refresh") this.#credentials.retryLater(this.#now);
    else if (about === "ack") this.#inbox.unsettle(this.#now);
    else {
      // A frame that waits for its confirmation goes again or fails. Any other is for whoever knows its type.
      const known = this.#outbox?.refused(data.original_id, refusal, this.#now);
      this.#pushAll(known ?? [{ type: "control", frame: { type: "error", data } }]);
    }
  }

  #push(effect: Effect): void {
    this.#effects.push(effect);
  }

  #pushAll(effects: Effect[] = []): void {
    this.#effects.push(...effects);
  }

  #setState(phase: Phase, state: ConnectionState): void {
    this.#phase = phase;
    this.#state = state;
    this.#push({ type: "state", state });
  }
}
