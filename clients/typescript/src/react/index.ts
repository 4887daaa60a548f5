"use client";
// @cidadao/realtime/react: hooks over the client.

export { type ChatActions, type PresenceView, type UseChatOptions, useChat, usePresence } from "./chat.ts";
export type { AnswerEntry, ChatEntry, FileEntry, OtherEntry, SaidEntry } from "./chat-entries.ts";
export type { ChatSnapshot } from "./chat-store.ts";
export { type ConnectionView, useConnection } from "./connection.ts";
export { type HistoryOptions, loadHistory } from "./history.ts";
export { type Notifications, useNotifications } from "./notifications.ts";
export type { History } from "./past.ts";
export { RealtimeProvider, type RealtimeProviderProps } from "./provider.ts";
export {
  type InvestigationSnapshot,
  type UseRoomOptions,
  useAnalysis,
  useInvestigation,
  useRoom,
} from "./room.ts";
export type { RoomSnapshot } from "./room-store.ts";
export type { UploadEntry, UploadSource } from "./uploads.ts";
