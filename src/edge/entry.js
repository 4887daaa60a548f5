// The worker's entry: the built module, with a guard round every call into it.
//
// A trap in WASM (a panic, memory or stack used up) kills the instance, but settles none of the promises that it had
// given out: without the guard their callers would wait for ever, in every object of the isolate. The built module
// starts a new instance at the next call.

import Worker, { Room as BuiltRoom } from "./index.js";

const waiting = new Set();

addEventListener("error", ({ error }) => {
  if (error instanceof RangeError) trap(error);
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  for (const reject of waiting) reject(new Error("the WASM instance is gone"));
  waiting.clear();
});

/** The built module knows a trap by its type, and would take an instance whose stack ran over for a sound one. */
function trap({ message }) {
  dispatchEvent(new ErrorEvent("error", { error: new WebAssembly.RuntimeError(message) }));
}

/** Settles as `call()` does, or rejects when the instance traps first. */
function guard(call) {
  const { promise, resolve, reject } = Promise.withResolvers();
  waiting.add(reject);
  Promise.try(call)
    .then(resolve, reject)
    .finally(() => waiting.delete(reject));
  return promise;
}

const INTERNAL = { code: "INTERNAL", message: "Something failed on our side; please try again.", retry: true };
/** The list of origins is gone with the instance; this answer may be read by all. */
const HEADERS = { "access-control-allow-origin": "*", "cache-control": "no-store" };

async function answer(call) {
  try {
    return await guard(call);
  } catch (error) {
    console.error("request failed:", error);
    return Response.json({ error: INTERNAL }, { status: 500, headers: HEADERS });
  }
}

export default {
  fetch: (request, env, context) => answer(() => new Worker(context, env).fetch(request)),
};

export class Room {
  #built;

  constructor(state, env) {
    this.#built = new BuiltRoom(state, env);
  }

  fetch(request) {
    return answer(() => this.#built.fetch(request));
  }

  alarm(info) {
    return guard(() => this.#built.alarm(info));
  }

  webSocketMessage(socket, message) {
    return guard(() => this.#built.webSocketMessage(socket, message));
  }

  webSocketClose(socket, code, reason, clean) {
    return guard(() => this.#built.webSocketClose(socket, code, reason, clean));
  }

  webSocketError(socket, error) {
    return guard(() => this.#built.webSocketError(socket, error));
  }
}
