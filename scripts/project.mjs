// Where things are, and how a script runs a program or ends with a plain message.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What the checkout needs built once and git does not hold; a folder outside it serves several checkouts. */
export const TOOLS = resolve(ROOT, process.env.REALTIME_TOOLS || ".tools");

/** The versions that no package manager's file pins. */
export const PINS = JSON.parse(readFileSync(join(ROOT, "toolchain.json"), "utf8"));

/** Wrangler and the tests need a newer Node than these scripts do; npm installs it. */
export const NODE = join(ROOT, "node_modules/.bin/node");

/** A failure that its message explains: no stack trace is wanted. */
export class Failure extends Error {}

export function say(message) {
  console.error(`· ${message}`);
}

/** Runs a program in the checkout, its output on this terminal. */
export function run(program, args, options = {}) {
  const result = spawnSync(program, args, { cwd: ROOT, stdio: "inherit", ...options });
  if (result.error) throw new Failure(`cannot run ${program}: ${result.error.message}`);
  if (result.status !== 0) throw new Failure(`${program} ${args.join(" ")} failed (${result.status ?? result.signal})`);
}

/** What a program printed, or undefined if it cannot be run or fails. */
export function read(program, args, options = {}) {
  const result = spawnSync(program, args, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    ...options,
  });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** The PATH without the checkout's own programs: what installs them must not run on them. */
export function outerPath() {
  const own = join(ROOT, "node_modules");
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => !folder.startsWith(own))
    .join(delimiter);
}

/** Whether dotted version `version` is at least `floor`. */
export function isAtLeast(version, floor) {
  const [left, right] = [version, floor].map((text) => text.split(".").map((part) => Number.parseInt(part, 10)));
  for (const [index, wanted] of right.entries()) {
    const part = left[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

/** Runs a script's main function; a Failure or a wrong option ends it with its message and status 1. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof Failure) && !error.code?.startsWith("ERR_PARSE_ARGS")) throw error;
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}

/** Whether the module with this `import.meta.url` is the script that node was started with. */
export function isMain(url) {
  return process.argv[1] !== undefined && fileURLToPath(url) === resolve(process.argv[1]);
}
