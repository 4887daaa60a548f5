// Waiting for a connection.

import type { Connection } from "./connection.ts";
import { closed, quiet } from "./deferred.ts";
import type { Emitter } from "./emitter.ts";
import type { ConnectionState } from "./types.ts";

/** Once connected; rejected if the connection stops, or is left. */
export function whenReady(connection: Connection, emitter: Emitter): Promise<void> {
  const wait = new Promise<void>((resolve, reject) => {
    const end = emitter.on("@state", look);
    function look(state: ConnectionState) {
      if (state.status === "connected") resolve();
      else if (state.status === "stopped") reject(state.reason);
      else if (state.status === "idle") reject(closed());
      else return;
      end();
    }
    connection.connect();
    if (connection.state.status === "connected") look(connection.state);
  });
  return quiet(wait);
}
