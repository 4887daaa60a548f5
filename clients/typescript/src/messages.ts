// What rooms carry, by type: what is known of the data of each message.

/** A place in the log of a room: whoever holds it has everything up to `seq`. */
export interface Cursor {
  /** The life of the room's log. Numbers of another epoch mean nothing. */
  epoch: string;
  seq: number;
}

/** `anomaly_detected` */
export interface AnomalyDetected {
  investigation_id?: string;
  severity: "low" | "medium" | "high" | "critical" | (string & {});
  description?: string;
  [field: string]: unknown;
}

/** `investigation_progress`, `investigation_status` and the rest of that family. */
export interface InvestigationUpdate {
  investigation_id?: string;
  update_type?: string;
  status?: string;
  /** From 0 to 1. */
  progress?: number;
  message?: string;
  [field: string]: unknown;
}

/** `chat`: what a person said, or a piece of what an agent says. */
export interface ChatMessage {
  role: "user" | "assistant" | (string & {});
  content: string;
  user_id?: string;
  agent_id?: string;
  agent_name?: string;
  /** `true` for a piece of an answer. Pieces go into {@link Answer} and are not published as messages. */
  chunk?: boolean;
  snapshot?: boolean;
  message_id?: string;
  reply_to?: string;
  [field: string]: unknown;
}

/** `chat_complete`: a whole answer, and the truth about it. */
export interface ChatComplete {
  status: "completed" | "cancelled" | "failed" | "interrupted";
  role: "assistant" | (string & {});
  content: string;
  message_id: string;
  reply_to?: string;
  agent_id?: string;
  agent_name?: string;
  error?: { code: string; message: string };
  suggested_actions?: unknown;
  [field: string]: unknown;
}

/** `typing`, of a person (`user_id`) or of an agent (`agent`). */
export interface Typing {
  isTyping?: boolean;
  user_id?: string;
  expires_in_ms?: number;
  agent?: string;
  message_id?: string;
  reply_to?: string;
  stage?: "asking" | "detecting" | "intent" | "agent_selected" | "thinking" | (string & {});
  message?: string;
  agent_id?: string;
  agent_name?: string;
  [field: string]: unknown;
}

/** `file`: somebody put a file into the chat. */
export interface FileShared {
  file_id: string;
  name: string;
  size: number;
  content_type: string;
  sha256: string;
  user_id: string;
  url: string;
}

/**
 * Types of messages and their data. Add your own:
 *
 * ```ts
 * declare module "@cidadao/realtime" {
 *   interface MessageData { contract_flagged: { contract_id: string } }
 * }
 * ```
 */
export interface MessageData {
  agent_finding: Record<string, unknown>;
  anomaly_detected: AnomalyDetected;
  chat: ChatMessage;
  chat_complete: ChatComplete;
  error: { code?: string; message?: string; [field: string]: unknown };
  file: FileShared;
  investigation_update: InvestigationUpdate;
  notification: Record<string, unknown>;
  report_ready: Record<string, unknown>;
  session_updated: { session_id: string; title: string };
  system_notification: { notification_type: string; [field: string]: unknown };
  typing: Typing;
}

/** The data of a type: what {@link MessageData} says, `investigation_*` as a family, and otherwise anything. */
export type DataOf<T extends string> = T extends keyof MessageData
  ? MessageData[T]
  : T extends `investigation_${string}`
    ? InvestigationUpdate
    : unknown;

/** A message that was published into a room. */
export interface Message<T extends string = string> {
  type: T;
  data: DataOf<T>;
  /** RFC 3339. */
  timestamp: string;
  /** Unique in its room. */
  id: string;
  /** Such as `investigation:inv-123`. */
  room: string;
  /** Its place in the log; an ephemeral message has none. */
  seq?: number;
}

/** What {@link Message} a name given to `on` stands for: a type, a family such as `investigation_*`, or `*` for all. */
export type MessageOf<N extends string> = N extends `${infer Prefix}*` ? Message<`${Prefix}${string}`> : Message<N>;
