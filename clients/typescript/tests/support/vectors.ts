import { readFileSync } from "node:fs";

/** What the server is held to as well: a file of `vectors/`. */
// biome-ignore lint/suspicious/noExplicitAny: files of many shapes
export function vectors(name: string): any {
  return JSON.parse(readFileSync(new URL(`../../../../vectors/${name}.json`, import.meta.url), "utf8"));
}
