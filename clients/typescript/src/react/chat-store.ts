// A chat as components see it: what was said, who is there, what is on its way.

import type { RealtimeError } from "../errors.ts";
import type { Message } from "../messages.ts";
import type {
  Answer,
  AnswerStatus,
  Chat,
  ConnectionState,
  Presence,
  Reset,
  SendOptions,
  Unsubscribe,
  UploadedFile,
  UploadOptions,
} from "../types.ts";
import type { Asked, AskedBefore } from "./asked.ts";
import type { ChatEntry } from "./chat-entries.ts";
import { ChatLog } from "./chat-log.ts";
import { asError } from "./failure.ts";
import { LogStore, type Observer } from "./log-store.ts";
import { type UploadEntry, type UploadSource, Uploads } from "./uploads.ts";

export interface ChatSnapshot {
  readonly connection: ConnectionState;
  /** What was said, oldest first: by people, by agents, files. */
  readonly messages: readonly ChatEntry[];
  /** Whether an answer is under way, unless to somebody else's question: which those are, `userId` tells. */
  readonly isAnswering: boolean;
  /** Ids of the others who are typing. */
  readonly typing: readonly string[];
  readonly presence: Presence;
  readonly uploads: readonly UploadEntry[];
  /** As the server last told. */
  readonly title: string | undefined;
  /** The last refusal that belongs to no entry; the next thing that is sent takes it away. */
  readonly error: RealtimeError | undefined;
  readonly lost: Reset | undefined;
}

export interface ChatObserver extends Observer {
  readonly userId?: string;
}

const NOBODY: Presence = { count: 0, users: [] };

export const SILENT: ChatSnapshot = {
  connection: { status: "idle" },
  messages: [],
  isAnswering: false,
  typing: [],
  presence: NOBODY,
  uploads: [],
  title: undefined,
  error: undefined,
  lost: undefined,
};

export class ChatStore extends LogStore<ChatSnapshot, ChatLog, ChatObserver> {
  readonly #name: string;
  readonly #openChat: () => Chat;
  readonly #askedBefore: AskedBefore;
  readonly #uploads = new Uploads(
    () => this.flush(),
    (name, file) => this.#uploaded(name, file),
  );
  readonly #sent = new Map<string, Asked>();
  readonly #answers = new Map<Answer, Unsubscribe>();
  #chat: Chat | undefined;

  constructor(name: string, openChat: () => Chat, askedBefore: AskedBefore, limit: number) {
    super(new ChatLog(limit));
    this.#name = name;
    this.#openChat = openChat;
    this.#askedBefore = askedBefore;
  }

  readonly send = (text: string, options: SendOptions = {}): Answer => {
    const answer = this.#say(this.#open(), text, options);
    this.error = undefined;
    this.flush();
    return answer;
  };

  /** Sends again what failed, under its old id: it is not asked twice. */
  readonly resend = (id: string): Answer | undefined => {
    const sent = this.#sent.get(id);
    return sent && this.send(sent.text, { ...sent.options, id });
  };

  /** Stops the answer to a question; without one, all that make `isAnswering` true. */
  readonly cancel = (question?: string): void => {
    for (const answer of [...this.#answers.keys()]) {
      if (question === undefined ? this.#isForUser(answer.id) : answer.id === question) answer.cancel();
    }
    this.flush();
  };

  readonly setTyping = (isTyping = true): void => this.#open().setTyping(isTyping);
  readonly setPresence = (state: Record<string, unknown>): void => this.#open().setPresence(state);
  readonly connect = (): void => this.#open().connect();
  readonly disconnect = (): void => this.#open().disconnect();

  readonly upload = (file: UploadSource, options: UploadOptions = {}): Promise<UploadedFile> => {
    this.error = undefined;
    return this.#uploads.start(this.#open(), file, options);
  };

  protected open(): Unsubscribe[] {
    try {
      this.#chat = this.#openChat();
    } catch (error) {
      this.error = asError(error);
      return [];
    }
    const chat = this.#chat;
    this.log.reached(chat.cursor?.seq ?? 0);
    // Under its old id nothing is asked twice: its answer goes on, or its end is looked up.
    for (const [id, { text, options }] of this.#askedBefore.take(this.#name)) this.#say(chat, text, { ...options, id });
    for (const answer of chat.answers) this.#follow(answer, true);
    return [() => chat.close(), () => this.#unfollowAll(), ...this.#listen(chat)];
  }

  protected override reset(): void {
    super.reset();
    this.#chat = undefined;
    this.#sent.clear();
    this.#uploads.clear();
  }

  protected build(): ChatSnapshot {
    const chat = this.#chat;
    if (!chat) return { ...SILENT, error: this.error };
    return {
      connection: chat.state,
      messages: this.log.take(),
      isAnswering: [...this.#answers.keys()].some(({ id }) => this.#isForUser(id)),
      typing: chat.typing,
      presence: chat.presence,
      uploads: this.#uploads.entries,
      title: chat.title,
      error: this.error,
      lost: this.lost,
    };
  }

  /** The chat, if need be only for what is done with it now. */
  #open(): Chat {
    this.wake();
    if (this.#chat) return this.#chat;
    throw this.error;
  }

  #say(chat: Chat, text: string, options: SendOptions): Answer {
    const answer = chat.send(text, options);
    const isAsked = options.ask !== false;
    this.#sent.set(answer.id, { text, options });
    this.log.said(answer.id, text);
    this.#follow(answer, isAsked);
    this.#confirm(answer, isAsked);
    return answer;
  }

  /** Whether the question is the user's, as far as it is known: it may have been asked before the page was loaded. */
  #isForUser(question: string): boolean {
    if (this.#sent.has(question)) return true;
    const { userId } = this.wish((wishes) => wishes.userId !== undefined) ?? {};
    const entry = this.log.get(question);
    return userId === undefined || entry?.kind !== "said" || entry.isOwn;
  }

  #listen(chat: Chat): Unsubscribe[] {
    return [
      chat.on("*", (message) => this.#receive(message)),
      chat.on("@answer", (answer) => this.#follow(answer, true)),
      chat.on("@state", ({ status }) => {
        if (status === "connected") this.connected();
        this.look();
      }),
      chat.on("@presence", () => this.changed()),
      chat.on("@title", () => this.changed()),
      chat.on("@typing", () => this.changed()),
      chat.on("@error", (error) => this.failed(error)),
      chat.on("@reset", (reset) => this.lose(reset)),
    ];
  }

  #uploaded(name: string, { id, size, contentType, sha256, url, seq }: UploadedFile): void {
    this.log.shared({ file_id: id, name, size, content_type: contentType, sha256, url }, seq);
  }

  #receive(message: Message): void {
    this.log.add(message);
    this.tell(message);
  }

  /** Shows an answer as it grows, if it is wanted. */
  #follow(answer: Answer, isWanted: boolean): void {
    if (this.#answers.has(answer)) return;
    const show = () => this.#show(answer, isWanted);
    this.#answers.set(answer, answer.onChange(show));
    answer.done.catch((error) => this.#show(answer, isWanted, asError(error)));
    show();
  }

  /** Its entry is there once its question has arrived. */
  #show(answer: Answer, isWanted: boolean, error?: RealtimeError): void {
    const question = this.log.get(answer.id);
    const isAsked = question?.kind !== "said" || question.status === "sent";
    if (isWanted && isAsked && this.#chat) this.log.answer(answer, error);
    if (OVER.has(answer.status)) this.#unfollow(answer);
    this.changed();
  }

  /** What has no end yet is remembered: the user may come back to it. */
  #unfollowAll(): void {
    for (const answer of [...this.#answers.keys()]) {
      const asked = this.#sent.get(answer.id);
      if (asked) this.#askedBefore.keep(this.#name, answer.id, asked);
      this.#unfollow(answer);
    }
  }

  #unfollow(answer: Answer): void {
    this.#answers.get(answer)?.();
    this.#answers.delete(answer);
  }

  /** Marks what was sent when it has arrived, or cannot. */
  async #confirm(answer: Answer, isWanted: boolean): Promise<void> {
    try {
      const { seq } = await answer.sent;
      this.log.update(answer.id, { seq, status: "sent" });
      this.#show(answer, isWanted);
    } catch (error) {
      const status = answer.status === "cancelled" ? "cancelled" : "failed";
      this.log.update(answer.id, { status, ...(status === "failed" && { error: asError(error) }) });
      this.changed();
    }
  }

  protected look(): void {
    const { state, cursor } = this.#chat ?? {};
    if (state?.status === "connected") {
      this.log.reached(cursor?.seq ?? 0);
      this.past.live(this.history());
    }
    const { userId } = this.wish((wishes) => wishes.userId !== undefined) ?? {};
    if (userId !== undefined) this.log.own(userId);
    this.changed();
  }

  protected fill(messages: readonly Message[], isAgain: boolean): void {
    if (isAgain) this.log.replace(messages);
    else for (const message of messages) this.log.add(message);
  }
}

const OVER: ReadonlySet<AnswerStatus> = new Set<AnswerStatus>(["completed", "cancelled", "failed", "interrupted"]);
