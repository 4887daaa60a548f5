// Who is in a chat, and who is typing there.

import type { Typing } from "./messages.ts";
import { type Fields, fields } from "./protocol.ts";
import type { Presence, User } from "./types.ts";

/** If a server does not say how long. */
const TYPING_MS = 6_000;
/** Longer than that nobody types without saying so again. */
const MAX_TYPING_MS = 60_000;
/** The server does not pass on repeats within this time. */
const REPEAT_MS = 3_000;

const NOBODY: Presence = { count: 0, users: [] };

/** Presence after a frame: a snapshot replaces all, changes change it. */
export function present(before: Presence | undefined, data: Fields): Presence {
  const { count, users: before_users } = before ?? NOBODY;
  const lists = [data.joined, data.left, data.updated];
  const isChange = lists.some(Array.isArray);
  const users = isChange ? changed(before_users, data) : usersOf(data.users);
  return { count: typeof data.count === "number" ? data.count : count, users };
}

function changed(before: readonly User[], { joined, left, updated }: Fields): User[] {
  const gone = new Set(Array.isArray(left) ? left : []);
  const users = new Map(before.filter(({ user_id }) => !gone.has(user_id)).map((user) => [user.user_id, user]));
  for (const user of usersOf(joined)) users.set(user.user_id, user);
  for (const user of usersOf(updated)) if (users.has(user.user_id)) users.set(user.user_id, user);
  return [...users.values()].sort((a, b) => (a.user_id < b.user_id ? -1 : 1));
}

function usersOf(value: unknown): User[] {
  if (!Array.isArray(value)) return [];
  return value.map(fields).filter((user) => typeof user.user_id === "string") as Fields[] & User[];
}

/** Who is typing: until they stop, or are not heard of for a while. */
export class TypingUsers {
  #users: readonly string[] = [];
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #changed: (users: readonly string[]) => void;

  constructor(changed: (users: readonly string[]) => void) {
    this.#changed = changed;
  }

  get users(): readonly string[] {
    return this.#users;
  }

  heard(user: string, { isTyping, expires_in_ms }: Typing): void {
    const ms = typeof expires_in_ms === "number" ? Math.min(expires_in_ms, MAX_TYPING_MS) : TYPING_MS;
    clearTimeout(this.#timers.get(user));
    this.#timers.delete(user);
    if (isTyping !== false) {
      const end = setTimeout(() => this.heard(user, { isTyping: false }), ms);
      this.#timers.set(user, end);
    }
    this.#update();
  }

  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#update();
  }

  #update(): void {
    const users = [...this.#timers.keys()].sort();
    if (users.join(" ") === this.#users.join(" ")) return;
    this.#users = users;
    this.#changed(users);
  }
}

/** When to say that one is typing oneself: not with every keystroke. */
export class OwnTyping {
  #saidAt = Number.NEGATIVE_INFINITY;
  #is = false;

  /** Whether this is to be said. */
  set(isTyping: boolean, now: number): boolean {
    const isNews = isTyping !== this.#is || (isTyping && now - this.#saidAt >= REPEAT_MS);
    this.#is = isTyping;
    if (isNews) this.#saidAt = now;
    return isNews;
  }

  /** Whether it would be shown still, had it been heard. */
  isFresh(now: number): boolean {
    return this.#is && now - this.#saidAt < TYPING_MS;
  }
}
