// One answer of an agent: its text as it grows, and its end.

import { type Deferred, deferred } from "./deferred.ts";
import { Emitter, Feed } from "./emitter.ts";
import { RealtimeError } from "./errors.ts";
import type { ChatComplete, ChatMessage, Typing } from "./messages.ts";
import { fields } from "./protocol.ts";
import { textOf } from "./text.ts";
import type { Answer, AnswerResult, AnswerStatus, Unsubscribe } from "./types.ts";

/** Of an answer that has not failed. */
const ENDS = ["completed", "cancelled", "interrupted"] as const;

type Sent = { seq: number | undefined; duplicate: boolean };

export class LiveAnswer implements Answer {
  readonly id: string;
  readonly isOwn: boolean;
  messageId: string | undefined;
  text = "";
  status: AnswerStatus;
  stage: Answer["stage"];
  agent: Answer["agent"];
  readonly #sent: Deferred<Sent> = deferred();
  readonly #done: Deferred<AnswerResult> = deferred();
  readonly #changes = new Emitter();
  readonly #cancel: (answer: LiveAnswer) => void;
  #error: RealtimeError | undefined;

  /** `cancel` has the agent stopped. */
  constructor(id: string, isOwn: boolean, cancel: (answer: LiveAnswer) => void) {
    this.id = id;
    this.isOwn = isOwn;
    this.status = isOwn ? "sending" : "answering";
    this.#cancel = cancel;
    if (!isOwn) this.#sent.resolve({ seq: undefined, duplicate: false });
  }

  get sent(): Promise<Sent> {
    return this.#sent.promise;
  }

  get done(): Promise<AnswerResult> {
    return this.#done.promise;
  }

  get isOpen(): boolean {
    return this.status === "sending" || this.status === "waiting" || this.status === "answering";
  }

  onChange(listener: () => void): Unsubscribe {
    return this.#changes.on("change", listener);
  }

  cancel(): void {
    if (!this.isOpen) return;
    this.#cancel(this);
    this.#end("cancelled", {});
  }

  confirmed(sent: Sent): void {
    this.#sent.resolve(sent);
    if (this.status !== "sending") return;
    this.status = "waiting";
    this.#changed();
  }

  /** What was sent asks nobody: with its arrival all is done. */
  satisfied(): void {
    this.#end("completed", {});
  }

  typing({ stage, message, isTyping, ...rest }: Typing): void {
    if (!this.isOpen) return;
    this.#introduce(rest);
    const [name, sentence] = [textOf(stage), textOf(message)];
    if (name !== undefined && isTyping !== false) this.stage = { name, ...(sentence && { message: sentence }) };
    this.#changed();
  }

  chunk({ content, snapshot, ...rest }: ChatMessage): void {
    if (!this.isOpen) return;
    this.#introduce(rest);
    this.text = (snapshot === true ? "" : this.text) + (textOf(content) ?? "");
    this.status = "answering";
    this.#changed();
  }

  complete(data: ChatComplete): void {
    if (!this.isOpen) return;
    this.#introduce(data);
    this.text = textOf(data.content) ?? this.text;
    if (data.status === "failed") this.fail(failure(fields(data.error)));
    else this.#end(ENDS.find((each) => each === data.status) ?? "completed", data);
  }

  interrupt(): void {
    if (this.isOpen) this.#end("interrupted", {});
  }

  fail(error: RealtimeError): void {
    if (!this.isOpen) return;
    this.status = "failed";
    this.#error = error;
    this.#sent.reject(error);
    this.#done.reject(error);
    this.#changed();
  }

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return new Feed<string>((feed) => {
      let given = 0;
      const look = () => {
        if (this.text.length > given) feed.push(this.text.slice(given));
        given = Math.max(given, this.text.length);
        if (!this.isOpen) feed.end(this.#error);
      };
      const end = this.onChange(look);
      // The feed takes nothing before it is built.
      queueMicrotask(look);
      return end;
    });
  }

  #introduce({
    message_id,
    agent_id,
    agent_name,
  }: ChatMessage | ChatComplete | Typing | Record<string, unknown>): void {
    if (typeof message_id === "string") this.messageId = message_id;
    if (typeof agent_id !== "string") return;
    this.agent = { id: agent_id, ...(typeof agent_name === "string" && { name: agent_name }) };
  }

  #end(status: AnswerResult["status"], data: object): void {
    this.status = status;
    this.stage = undefined;
    this.#sent.reject(new RealtimeError({ code: "CANCELLED", message: "It was taken back before it arrived." }));
    this.#done.resolve({ status, text: this.text, messageId: this.messageId, data: { ...data } });
    this.#changed();
  }

  #changed(): void {
    this.#changes.emit("change", undefined);
  }
}

function failure({ code, message, retry }: Record<string, unknown>): RealtimeError {
  const what = { code: textOf(code) ?? "AGENT_FAILED", message: textOf(message) ?? "The agent failed." };
  return new RealtimeError({ ...what, retry: retry === true });
}
