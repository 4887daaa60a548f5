// What an agent says in the programs of this folder: tokens of one length, so that a text's length says how many came.

import { setTimeout as sleep } from "node:timers/promises";

export const TOKEN_CHARS = 6;

export interface Token {
  text: string;
}

/** So many tokens at so many a second; when each was there is noted, whether somebody was ready to take it or not. */
export async function* produce(count: number, rate: number, sent: number[]): AsyncGenerator<Token> {
  const begin = performance.now();
  for (let n = 0; n < count; n++) {
    const due = begin + (1_000 * n) / rate;
    const ahead = due - performance.now();
    if (ahead > 0) await sleep(ahead);
    // A timer that is late is not the worker's delay.
    sent.push(ahead > 0 ? performance.now() : due);
    yield { text: `${String(n % 100_000).padStart(TOKEN_CHARS - 1, "0")} ` };
  }
}
