// Tokens for tests: good ones by default, and whatever is wrong with them on request.

import { sign } from "../../scripts/token.mjs";

export type Claims = Record<string, unknown>;

/** A token that is good for a minute, but for what `claims` say. A claim that is undefined is left out. */
export function mint(claims: Claims, secret: string): string {
  const iat = Math.floor(Date.now() / 1000);
  return sign({ sub: "ana", role: "user", type: "access", iat, exp: iat + 60, ...claims }, secret);
}
