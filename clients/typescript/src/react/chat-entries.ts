// What a chat shows, one entry each. Entries are replaced by changes and otherwise stay the same objects.

import type { RealtimeError } from "../errors.ts";
import type { ChatComplete, ChatMessage, FileShared, Message } from "../messages.ts";
import type { Answer, AnswerStatus } from "../types.ts";

interface Entry {
  /** The same for as long as the entry is there: what React wants of a list. */
  readonly key: string;
  /** Its place in the room's log, once it has one. */
  readonly seq: number | undefined;
  /** RFC 3339. */
  readonly timestamp: string;
}

/** What a person said, or a service in the name of whomever. */
export interface SaidEntry extends Entry {
  readonly kind: "said";
  readonly id: string;
  readonly role: string;
  readonly text: string;
  readonly userId: string | undefined;
  /** From here, or by the user whom the hook was told. */
  readonly isOwn: boolean;
  /** `sending`: not yet with the server, maybe for want of a connection. */
  readonly status: "sending" | "sent" | "cancelled" | "failed";
  readonly error: RealtimeError | undefined;
}

/** An agent's answer. `waiting`: the question is with the server, and nothing was said yet. */
export interface AnswerEntry extends Entry {
  readonly kind: "answer";
  readonly messageId: string | undefined;
  /** The id of the question. */
  readonly replyTo: string;
  readonly text: string;
  readonly status: AnswerStatus;
  readonly stage: Answer["stage"];
  readonly agent: Answer["agent"];
  readonly error: { readonly code: string; readonly message: string } | undefined;
  /** All that the server said with its end, such as `suggested_actions`. */
  readonly data: Readonly<Record<string, unknown>>;
}

export interface FileEntry extends Entry {
  readonly kind: "file";
  readonly file: Readonly<FileShared>;
  readonly isOwn: boolean;
}

/** Anything else that was published into the chat, such as a `notification`. */
export interface OtherEntry extends Entry {
  readonly kind: "other";
  readonly message: Message;
}

export type ChatEntry = SaidEntry | AnswerEntry | FileEntry | OtherEntry;

/** Passing things, which other parts of the hook show if anything does. */
const EPHEMERAL = new Set(["typing", "session_updated"]);

export const answerKey = (question: string): string => `answer ${question}`;

/** The entry that a message makes, if it makes one. */
export function entryOf(message: Message, userId: string | undefined): ChatEntry | undefined {
  if (EPHEMERAL.has(message.type) || (message.type === "error" && message.seq === undefined)) return undefined;
  if (message.type === "chat") return said(message as Message<"chat">, userId);
  if (message.type === "chat_complete") return completed(message as Message<"chat_complete">);
  if (message.type === "file") return shared(message as Message<"file">, userId);
  return { kind: "other", key: message.id, seq: message.seq, timestamp: message.timestamp, message };
}

function said({ id, seq, timestamp, data }: Message<"chat">, userId: string | undefined): SaidEntry | undefined {
  const { content, role = "user", user_id, chunk } = fieldsOf(data) as Partial<ChatMessage>;
  if (chunk || typeof content !== "string") return undefined;
  const isOwn = user_id !== undefined && user_id === userId;
  const base = { key: id, id, seq, timestamp, role, userId: user_id, isOwn };
  return { ...base, kind: "said", text: content, status: "sent", error: undefined };
}

function completed({ id, seq, timestamp, data }: Message<"chat_complete">): AnswerEntry {
  const fields = fieldsOf(data) as Partial<ChatComplete>;
  const { message_id = id, reply_to = message_id, content = "", status = "completed", agent_id, agent_name } = fields;
  const agent = agent_id === undefined ? undefined : { id: agent_id, ...(agent_name && { name: agent_name }) };
  const base = { key: answerKey(reply_to), seq, timestamp, messageId: message_id, replyTo: reply_to };
  return { ...base, kind: "answer", text: content, status, stage: undefined, agent, error: fields.error, data: fields };
}

function shared({ id, seq, timestamp, data }: Message<"file">, userId: string | undefined): FileEntry {
  return { kind: "file", key: id, seq, timestamp, file: data, isOwn: data.user_id === userId };
}

/** An answer as it is now. */
export function entryOfAnswer(answer: Answer, before: AnswerEntry | undefined): AnswerEntry {
  return {
    kind: "answer",
    key: answerKey(answer.id),
    seq: before?.seq,
    timestamp: before?.timestamp ?? now(),
    messageId: answer.messageId,
    replyTo: answer.id,
    text: answer.text,
    status: answer.status,
    stage: answer.stage,
    agent: answer.agent,
    error: before?.error,
    data: before?.data ?? {},
  };
}

/** What was just said here. */
export function entryOfOwn(id: string, text: string, userId: string | undefined): SaidEntry {
  const base = { key: id, id, seq: undefined, timestamp: now(), role: "user", userId, isOwn: true };
  return { ...base, kind: "said", text, status: "sending", error: undefined };
}

const now = () => new Date().toISOString();

function fieldsOf(data: unknown): object {
  return typeof data === "object" && data !== null ? data : {};
}
