// Rooms in components.

import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Message } from "../messages.ts";
import type { RoomKind, RoomOptions } from "../types.ts";
import { useLatest } from "./latest.ts";
import { newest } from "./log.ts";
import { useSource } from "./provider.ts";
import { CLOSED, type RoomObserver, type RoomSnapshot, RoomStore } from "./room-store.ts";

const LIMIT = 200;

export interface UseRoomOptions extends RoomOptions, RoomObserver {
  /** How many messages are kept. Default 200. */
  limit?: number;
}

/**
 * Hears a room for as long as the component is there. Without an id it hears none, and its status is `closed`.
 * `history` is loaded once the room is live, and again after a loss; `onMessage` is called for each message that
 * arrives meanwhile, `onReset` for each loss.
 */
export function useRoom(kind: RoomKind, id: string | null | undefined, options: UseRoomOptions = {}): RoomSnapshot {
  const { limit = LIMIT } = options;
  const store = useRoomStore(kind, id, options);
  const latest = useLatest<RoomObserver>(options);
  const snapshot = useSyncExternalStore(store?.subscribe ?? nothing, store?.snapshot ?? closed, closed);
  useEffect(() => store?.observe(latest, limit), [store, latest, limit]);
  return useMemo(() => limited(snapshot, limit), [snapshot, limit]);
}

export function useAnalysis(id: string | null | undefined, options?: UseRoomOptions): RoomSnapshot {
  return useRoom("analysis", id, options);
}

export interface InvestigationSnapshot extends RoomSnapshot {
  /** Of the messages that are kept. */
  readonly anomalies: readonly Message<"anomaly_detected">[];
  /** The newest that was told, from 0 to 1. */
  readonly progress: number | undefined;
}

export function useInvestigation(id: string | null | undefined, options?: UseRoomOptions): InvestigationSnapshot {
  const room = useRoom("investigation", id, options);
  return useMemo(() => ({ ...room, anomalies: room.messages.filter(isAnomaly), progress: progressOf(room) }), [room]);
}

function useRoomStore(
  kind: RoomKind,
  id: string | null | undefined,
  { since, limit = LIMIT }: UseRoomOptions,
): RoomStore | undefined {
  const source = useSource();
  const place = since ? `${since.epoch} ${since.seq}` : "";
  // biome-ignore lint/correctness/useExhaustiveDependencies: `place` is `since`, and the store keeps the largest limit
  return useMemo(() => {
    if (id === null || id === undefined) return undefined;
    const options = since ? { since } : {};
    const make = () => new RoomStore(() => source.client().room(kind, id, options), limit);
    return source.store(`${kind}:${id} ${place}`, make);
  }, [source, kind, id, place]);
}

const nothing = () => () => {};
const closed = () => CLOSED;

function limited(snapshot: RoomSnapshot, limit: number): RoomSnapshot {
  const messages = newest(snapshot.messages, limit);
  return messages === snapshot.messages ? snapshot : { ...snapshot, messages };
}

function isAnomaly(message: Message): message is Message<"anomaly_detected"> {
  return message.type === "anomaly_detected";
}

function progressOf({ messages }: RoomSnapshot): number | undefined {
  for (const { data } of [...messages].reverse()) {
    const { progress } = Object(data) as { progress?: unknown };
    if (typeof progress === "number") return progress;
  }
  return undefined;
}
