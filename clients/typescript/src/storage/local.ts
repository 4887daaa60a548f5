// Cursors in localStorage.

import type { CursorStorage } from "../types.ts";

/** Keeps cursors in `localStorage`, or in what is given, such as `sessionStorage`. */
export function localStorageCursors(storage?: Pick<Storage, "getItem" | "setItem" | "removeItem">): CursorStorage {
  // Asked for when needed: where it is forbidden, even naming it throws.
  const place = () => storage ?? globalThis.localStorage;
  return {
    get: (key) => place().getItem(key),
    set: (key, value) => place().setItem(key, value),
    remove: (key) => place().removeItem(key),
  };
}
