// Cursors in IndexedDB: for workers, which have no localStorage.

import type { CursorStorage } from "../types.ts";

const STORE = "cursors";

/** Keeps cursors in a database of that name. */
export function indexedDbCursors(name = "cidadao-realtime", factory?: IDBFactory): CursorStorage {
  let database: Promise<IDBDatabase> | undefined;
  const store = async (mode: IDBTransactionMode): Promise<IDBObjectStore> => {
    database ??= open(factory ?? globalThis.indexedDB, name);
    return (await database).transaction(STORE, mode).objectStore(STORE);
  };
  return {
    get: async (key) => (await done((await store("readonly")).get(key))) as string | undefined,
    set: async (key, value) => done((await store("readwrite")).put(value, key)),
    remove: async (key) => done((await store("readwrite")).delete(key)),
  };
}

function open(factory: IDBFactory, name: string): Promise<IDBDatabase> {
  const request = factory.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return done(request);
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
