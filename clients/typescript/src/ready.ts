// Waiting for something that is told by events.

import { closed, quiet } from "./deferred.ts";
import type { Emitter } from "./emitter.ts";
import { stopOf } from "./state.ts";
import type { ConnectionState } from "./types.ts";

/** Until `outcome` says so, looked at now and with each change of state or status: `true`, or an error. */
export function waitFor(emitter: Emitter, outcome: (event?: unknown) => unknown): Promise<void> {
  const wait = new Promise<void>((resolve, reject) => {
    const look = (event?: unknown) => {
      const result = outcome(event);
      if (!result) return;
      for (const end of ends) end();
      if (result === true) resolve();
      else reject(result);
    };
    const ends = ["@state", "@status"].map((name) => emitter.on(name, look));
    look();
  });
  return quiet(wait);
}

/** Once connected; rejected if the connection stops or is left, or who waits is closed, which says so as a status. */
export function whenReady(
  connection: { connect(): void; state: ConnectionState },
  emitter: Emitter,
  isClosed: () => boolean,
): Promise<void> {
  if (!isClosed()) connection.connect();
  return waitFor(emitter, (event) => {
    const { state } = connection;
    if (isClosed() || (event && state.status === "idle")) return closed();
    return stopOf(state) ?? state.status === "connected";
  });
}
