// What a client does when its connection ends.

/** Stay away; come back with another token; forget the cursor and come back; or just come back. */
export type Verdict = "stop" | "token" | "cursor" | "retry";

const BY_CODE: Readonly<Record<string, Verdict>> = {
  INVALID_TOKEN: "token",
  TOKEN_EXPIRED: "token",
  INVALID_CURSOR: "cursor",
  RATE_LIMIT: "retry",
};

/** Numbers that say enough. All others, 1000 and 1006 among them, mean the network or a deploy: come back. */
const BY_NUMBER: Readonly<Record<number, Verdict>> = { 1008: "stop", 4001: "token" };

/** By the number of the close, and the code that came with it. Older servers close with 1008 alone for a bad token. */
export function verdict(closeCode: number, code: string): Verdict {
  if (closeCode === 4003) return "stop";
  if (closeCode === 1008 && code === "") return "token";
  return BY_CODE[code] ?? BY_NUMBER[closeCode] ?? "retry";
}

/** By the `error` that refused a socket, whatever became of the number behind it. */
export function verdictOf({ code, retry }: { code: string; retry: boolean }): Verdict {
  return BY_CODE[code] ?? (retry ? "retry" : "stop");
}
