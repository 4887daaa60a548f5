// Chats in components.

import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Answer, Presence, SendOptions, UploadedFile, UploadOptions } from "../types.ts";
import { type ChatObserver, type ChatSnapshot, ChatStore, SILENT } from "./chat-store.ts";
import { useLatest } from "./latest.ts";
import { newest } from "./log.ts";
import { useSource } from "./provider.ts";
import type { UploadSource } from "./uploads.ts";

const LIMIT = 200;

export interface UseChatOptions extends ChatObserver {
  /** How many entries are kept. Default 200. What is under way is kept beyond that. */
  limit?: number;
  /** Whether to hear who is there. Default `true`. */
  presence?: boolean;
}

/** What a chat can be told. These functions are the same with each render. */
export interface ChatActions {
  /** Says something, and shows it at once; offline it waits. With `ask: false` no agent answers. */
  readonly send: (text: string, options?: SendOptions) => Answer;
  /** Sends again what has failed: `id` of its entry. */
  readonly resend: (id: string) => Answer | undefined;
  /** Stops the answer to this question (`replyTo` of its entry), or all that make `isAnswering` true. */
  readonly cancel: (question?: string) => void;
  /** Call it with each keystroke. */
  readonly setTyping: (isTyping?: boolean) => void;
  readonly setPresence: (state: Record<string, unknown>) => void;
  /** Puts a file into the chat; until it is there, it is in `uploads`. */
  readonly upload: (file: UploadSource, options?: UploadOptions) => Promise<UploadedFile>;
  readonly connect: () => void;
  readonly disconnect: () => void;
}

/** A chat session, for as long as the component is there. Components that name the same session share it. */
export function useChat(sessionId: string, options: UseChatOptions = {}): ChatSnapshot & ChatActions {
  const { limit = LIMIT, presence = true } = options;
  const store = useChatStore(sessionId, presence, limit);
  const latest = useLatest<ChatObserver>(options);
  const snapshot = useSyncExternalStore(store.subscribe, store.snapshot, silent);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another user is another wish
  useEffect(() => store.observe(latest, limit), [store, latest, limit, options.userId]);
  return useMemo(() => view(snapshot, store, limit), [snapshot, store, limit]);
}

export interface PresenceView extends Presence {
  readonly isThere: (userId: string) => boolean;
  /** What is shown with the user: up to 1 KiB of JSON. */
  readonly setPresence: (state: Record<string, unknown>) => void;
}

/** Who is in a chat session. */
export function usePresence(sessionId: string): PresenceView {
  const store = useChatStore(sessionId, true, LIMIT);
  const presence = () => store.snapshot().presence;
  const current = useSyncExternalStore(store.subscribe, presence, nobody);
  return useMemo(() => {
    const isThere = (userId: string) => current.users.some(({ user_id }) => user_id === userId);
    return { ...current, isThere, setPresence: store.setPresence };
  }, [current, store]);
}

function useChatStore(sessionId: string, presence: boolean, limit: number): ChatStore {
  const source = useSource();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the store keeps the largest limit
  return useMemo(() => {
    const name = `chat:${sessionId} ${presence}`;
    const open = () => source.client().chat(sessionId, { presence });
    return source.store(name, () => new ChatStore(name, open, source.asked, limit));
  }, [source, sessionId, presence]);
}

const silent = () => SILENT;
const nobody = () => SILENT.presence;

function view(snapshot: ChatSnapshot, store: ChatStore, limit: number): ChatSnapshot & ChatActions {
  const { send, resend, cancel, setTyping, setPresence, upload, connect, disconnect } = store;
  const actions = { send, resend, cancel, setTyping, setPresence, upload, connect, disconnect };
  return { ...snapshot, messages: newest(snapshot.messages, limit), ...actions };
}
