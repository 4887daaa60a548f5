// What the programs of this folder are told on the command line.

import { parseArgs } from "node:util";
import { Failure } from "../scripts/project.mjs";

const BUILD_HELP = "  --build FOLDER  the build to run as it is, rather than to build first";

export type Asked<T> = T & { build: string; words: string[] };

/** Numbers by their name, each with its default; the build's folder; and words. With `--help` it prints that and ends. */
export function options<T extends Record<string, number>>(help: string, defaults: T, build: string): Asked<T> {
  const texts: Record<string, { type: "string" }> = { build: { type: "string" } };
  for (const name of Object.keys(defaults)) texts[name] = { type: "string" };
  const parsed = parseArgs({ options: { ...texts, help: { type: "boolean", short: "h" } }, allowPositionals: true });
  const values: Record<string, string | boolean | undefined> = parsed.values;
  if (values.help) {
    console.log(`${help.trim()}\n${BUILD_HELP}`);
    process.exit(0);
  }
  const numbers = Object.entries(defaults).map(([name, value]) => [name, number(name, values[name] ?? String(value))]);
  return { ...Object.fromEntries(numbers), build: String(values.build ?? build), words: parsed.positionals };
}

function number(name: string, text: unknown): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Failure(`--${name} must be a number, not "${text}"`);
  return value;
}
