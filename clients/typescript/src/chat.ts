// A chat session: one connection, which handles share, and all that is known of the session.

import { LiveAnswer } from "./answer.ts";
import { ChatHandle } from "./chat-handle.ts";
import { address, Connection } from "./connection.ts";
import { closed } from "./deferred.ts";
import type { Effect } from "./effects.ts";
import { RealtimeError, type Refusal } from "./errors.ts";
import { newId } from "./id.ts";
import type { ChatComplete, ChatMessage, Message, Typing } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { OwnTyping, present, TypingUsers } from "./presence.ts";
import { type Fields, fields, refusalOf } from "./protocol.ts";
import { said, textOf } from "./text.ts";
import type { Chat, ClientOptions, ConnectionState, Presence, SendOptions } from "./types.ts";
import type { Upload } from "./upload.ts";

/** A chat that was given back is kept so long: pages often take again what they have just let go. */
const LINGER_MS = 1_000;
/** Of how many answers that have ended what comes late is still recognised. */
const MAX_ENDED = 100;
/** After so long it is said again what the server could not hear. */
const CANCEL_MS = 1_000;

export class SharedChat {
  readonly sessionId: string;
  readonly connection: Connection;
  presence: Presence = present(undefined, {});
  title: string | undefined;
  readonly uploads: Set<Upload> = new Set();
  isEnded = false;
  readonly #options: ClientOptions;
  readonly #path: string;
  readonly #forget: () => void;
  readonly #handles = new Set<ChatHandle>();
  /** Those under way, by the id of their question. */
  readonly #answers = new Map<string, LiveAnswer>();
  /** Those that have ended: whether the server knows, which it does unless they were cancelled here. */
  readonly #ended = new Map<string, boolean>();
  readonly #typing = new TypingUsers((users) => this.#emit("@typing", users));
  readonly #ownTyping = new OwnTyping();
  /** What is shown of oneself, as a frame. */
  #ownPresence: string | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ClientOptions, sessionId: string, presence: boolean, forget: () => void) {
    this.sessionId = sessionId;
    this.#options = options;
    this.#forget = forget;
    this.#path = `/api/v1/ws/chat/${encodeURIComponent(sessionId)}`;
    const query: Record<string, string> = presence ? { presence: "true" } : {};
    const outbox = new Outbox(options.outbox);
    this.connection = new Connection(options, this.#path, (effect) => this.#handle(effect), query, outbox);
  }

  get answers(): readonly LiveAnswer[] {
    return [...this.#answers.values()];
  }

  get typing(): readonly string[] {
    return this.#typing.users;
  }

  open(): Chat {
    clearTimeout(this.#linger);
    const handle = new ChatHandle(this);
    this.#handles.add(handle);
    if (this.#options.autoConnect !== false && this.connection.state.status === "idle") this.connection.connect();
    return handle;
  }

  release(handle: ChatHandle): void {
    this.#handles.delete(handle);
    if (this.#handles.size === 0) this.#linger = setTimeout(() => this.end(), LINGER_MS);
  }

  /** Ends it for everybody. */
  end(): void {
    this.isEnded = true;
    this.#forget();
    for (const answer of this.answers) answer.fail(closed());
    for (const upload of this.uploads) upload.fail(closed());
    this.#typing.clear();
    this.connection.close();
    for (const handle of [...this.#handles]) handle.close();
    clearTimeout(this.#linger);
  }

  send(content: string, { signal, context, agentId, ask = true, id = newId() }: SendOptions): LiveAnswer {
    const known = this.#answers.get(id);
    if (known?.isOwn) return known;
    const extra = { ...(context !== undefined && { context }), ...(agentId && { agent_id: agentId }) };
    const text = said("chat", { content, ...extra, ...(!ask && { ask }) }, id);
    this.#ended.delete(id);
    const answer = new LiveAnswer(id, true, (each) => this.#cancel(each));
    if (signal?.aborted) {
      answer.cancel();
      return answer;
    }
    this.#keep(answer, ask);
    const abort = () => answer.cancel();
    signal?.addEventListener("abort", abort);
    answer.done.finally(() => signal?.removeEventListener("abort", abort)).catch(() => {});
    this.#ownTyping.set(false, 0);
    this.connection.feed({ type: "send", kind: "chat", id, frame: text });
    return answer;
  }

  setTyping(isTyping: boolean): void {
    if (this.#ownTyping.set(isTyping, performance.now())) this.say("typing", { isTyping });
  }

  setPresence(state: Fields): void {
    this.#ownPresence = said("presence", { state });
    this.#sayPresence();
  }

  /** What goes now or not at all. */
  say(type: string, data: Fields, id?: string): void {
    this.connection.feed({ type: "send", kind: type, frame: said(type, data, id) });
  }

  /** It goes with each connection. */
  #sayPresence(): void {
    if (this.#ownPresence) this.connection.feed({ type: "send", kind: "presence", frame: this.#ownPresence });
  }

  #keep(answer: LiveAnswer, ask: boolean): void {
    this.#answers.set(answer.id, answer);
    answer.sent.then(
      ({ seq, duplicate }) => {
        if (!ask) answer.satisfied();
        else if (duplicate && seq !== undefined) this.#lookUp(answer, seq);
      },
      () => {},
    );
    const end = answer.onChange(() => {
      if (answer.isOpen) return;
      end();
      this.#answers.delete(answer.id);
      // What was interrupted here may go on there.
      if (answer.status !== "interrupted") this.#end(answer.id, this.#ended.get(answer.id) ?? true);
    });
  }

  #cancel({ id, isOwn }: LiveAnswer): void {
    if (!this.#answers.has(id)) return;
    this.#end(id, false);
    if (isOwn) this.connection.feed({ type: "withdraw", id });
    else this.#sayCancelled(id);
  }

  #end(id: string, isKnown: boolean): void {
    this.#ended.set(id, isKnown);
    if (this.#ended.size > MAX_ENDED) this.#ended.delete([...this.#ended.keys()][0] as string);
  }

  /** It is said on every connection until the server has shown that it knows. */
  #sayCancelled(id: string): void {
    this.say("chat_cancel", { reply_to: id });
  }

  #handle(effect: Effect): void {
    switch (effect.type) {
      case "state":
        this.#changed(effect.state);
        break;
      case "message":
        this.#receive(effect.message);
        break;
      case "control":
        this.#control(effect.frame.type, effect.frame.data);
        break;
      case "confirmed":
        this.#answers.get(effect.id)?.confirmed({ seq: effect.seq, duplicate: effect.duplicate });
        break;
      case "failed":
        this.#answers.get(effect.id)?.fail(effect.error);
        break;
      case "withdrawn":
        if (effect.wasSent) this.#sayCancelled(effect.id);
        else this.#ended.set(effect.id, true);
        break;
      case "dropped":
        this.#emit("@dropped", { id: effect.id, type: effect.kind });
        break;
      case "reset":
        this.#lost();
        this.#emit("@reset", { room: effect.room, cursor: effect.cursor });
        break;
    }
  }

  #changed(state: ConnectionState): void {
    if (state.status === "connected") this.#connected();
    else for (const upload of this.uploads) upload.disconnected();
    if (state.status === "stopped") this.#stopped(state.reason);
    this.#emit("@state", state);
    if (state.status !== "connected") this.#typing.clear();
  }

  #connected(): void {
    this.#sayPresence();
    if (this.#ownTyping.isFresh(performance.now())) this.say("typing", { isTyping: true });
    for (const [id, isKnown] of this.#ended) if (!isKnown) this.#sayCancelled(id);
    for (const upload of this.uploads) upload.connected();
  }

  #stopped(reason: RealtimeError): void {
    for (const answer of this.answers) answer.fail(reason);
    for (const upload of this.uploads) upload.fail(reason);
    for (const handle of this.#handles) handle.endLoops(reason);
  }

  /** What was missed is lost, perhaps the ends of answers: nothing more can be said of them. */
  #lost(): void {
    for (const answer of this.answers) if (answer.status !== "sending") answer.interrupt();
  }

  #receive(message: Message): void {
    const data = fields(message.data);
    if (message.type === "chat" && data.chunk === true) {
      this.#answering(data)?.chunk(data as ChatMessage);
      return;
    }
    if (message.type === "typing") this.#heardTyping(data as Typing);
    if (message.type === "chat" && typeof data.user_id === "string")
      this.#typing.heard(data.user_id, { isTyping: false });
    if (message.type === "chat_complete") this.#completed(data as ChatComplete);
    if (message.type === "session_updated") this.#called(textOf(data.title) ?? this.title);
    for (const handle of [...this.#handles]) handle.publish(message);
  }

  #heardTyping(data: Typing): void {
    if (typeof data.user_id === "string") this.#typing.heard(data.user_id, data);
    else if (typeof data.reply_to === "string" && data.isTyping !== false) this.#answering(data)?.typing(data);
  }

  #completed(data: ChatComplete): void {
    const question = textOf(data.reply_to) ?? textOf(data.message_id);
    if (question === undefined) return;
    if (this.#ended.has(question)) this.#ended.set(question, true);
    this.#answers.get(question)?.complete(data);
  }

  /** The answer that a piece belongs to, which may begin with it; none, if it has ended here. */
  #answering({ reply_to, message_id }: { reply_to?: unknown; message_id?: unknown }): LiveAnswer | undefined {
    const id = textOf(reply_to) ?? textOf(message_id);
    if (id === undefined || this.#ended.has(id)) return undefined;
    const known = this.#answers.get(id);
    const answer = known ?? new LiveAnswer(id, false, (each) => this.#cancel(each));
    const begins = !known || (answer.messageId === undefined && typeof message_id === "string");
    if (!known) this.#keep(answer, true);
    if (typeof message_id === "string") answer.messageId = message_id;
    if (begins) this.#emit("@answer", answer);
    return answer;
  }

  #welcomed({ title, presence }: Fields): void {
    this.#called(textOf(title));
    if (presence !== undefined) this.#seen(fields(presence));
  }

  #called(title: string | undefined): void {
    if (title === this.title) return;
    this.title = title;
    this.#emit("@title", title);
  }

  #seen(data: Fields): void {
    this.presence = present(this.presence, data);
    this.#emit("@presence", this.presence);
  }

  #control(type: string, data: Fields): void {
    if (type === "connection") this.#welcomed(data);
    if (type === "presence") this.#seen(data);
    for (const upload of this.uploads) if (upload.control(type, data)) return;
    if (type === "error") this.#refused(refusalOf(data));
  }

  #refused(refusal: Refusal): void {
    const { code, original_type, reply_to, retry_after_ms } = refusal;
    if (original_type === "chat_cancel") this.#cancelRefused(reply_to, refusal);
    if (original_type === undefined && code === "RATE_LIMIT") {
      for (const upload of this.uploads) upload.tooFast(retry_after_ms);
    }
    // What was to be stopped, and had ended by itself, is as it was wished.
    if (original_type !== "chat_cancel" || code !== "NOT_FOUND") this.#emit("@error", new RealtimeError(refusal));
  }

  /** It is said again later; or it has ended meanwhile, or is another's. */
  #cancelRefused(id: string | undefined, { retry, retry_after_ms = CANCEL_MS }: Refusal): void {
    if (id === undefined || this.#ended.get(id) !== false) return;
    if (!retry) this.#ended.set(id, true);
    else setTimeout(() => this.#ended.get(id) === false && this.#sayCancelled(id), retry_after_ms);
  }

  /** The question was there before, so its answer may have ended before this connection: the log knows. */
  async #lookUp(answer: LiveAnswer, seq: number): Promise<void> {
    try {
      const get = this.#options.fetch ?? fetch;
      const token = await this.#options.getToken({ reason: "connect" });
      const url = address(this.#options.url, `${this.#path}/messages`, { since: String(seq), limit: "1000" });
      const body = fields(await (await get(url, { headers: { authorization: `Bearer ${token}` } })).json());
      const messages = Array.isArray(body.messages) ? body.messages.map(fields) : [];
      const end = messages.find(({ type, data }) => type === "chat_complete" && fields(data).reply_to === answer.id);
      if (end) answer.complete(fields(end.data) as ChatComplete);
    } catch {
      // Then it is not known. If the answer is under way its pieces come.
    }
  }

  #emit(name: string, event: unknown): void {
    for (const handle of [...this.#handles]) handle.emit(name, event);
  }
}
