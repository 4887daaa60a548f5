// The runtimes that tests run the client on, and React 18. They are large, so they are installed when these tests are
// wanted, and beside the other tools, where several checkouts share them.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, outerPath, run, say, TOOLS } from "../../../scripts/project.mjs";
import { PACKAGE } from "./tools.mjs";

/** Where their packages are installed. */
export const RUNTIMES = join(TOOLS, "runtimes");

const PINNED = join(PACKAGE, "tests/runtimes");
const FILES = ["package.json", "package-lock.json"];
const STAMP = join(RUNTIMES, "node_modules/.installed-from");

/** Installs them, unless they are. Returns why they cannot be had, if so. */
export function installRuntimes() {
  const stamp = fingerprint();
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === stamp) return undefined;
  say("Node 20, Deno, Bun and React 18 for the tests (once, about 20 s)");
  try {
    install();
  } catch (error) {
    if (error instanceof Failure) return `the other runtimes cannot be installed: ${error.message}`;
    throw error;
  }
  writeFileSync(STAMP, stamp);
  return undefined;
}

/** Of all that decides what is installed. */
function fingerprint() {
  const hash = createHash("sha256");
  for (const file of FILES) hash.update(readFileSync(join(PINNED, file)));
  return hash.digest("hex");
}

/** Each program is asked for its version, so that none is left to be fetched when it first runs. */
function install() {
  mkdirSync(RUNTIMES, { recursive: true });
  for (const file of FILES) copyFileSync(join(PINNED, file), join(RUNTIMES, file));
  // On the outer Node, as npm's own scripts expect.
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: RUNTIMES,
    env: { ...process.env, PATH: outerPath() },
    stdio: ["ignore", "ignore", "inherit"],
  });
  for (const name of ["node", "deno", "bun"]) run(program(name), ["--version"], { stdio: "ignore" });
}

/** The binary of a runtime. */
export const program = (name) => join(RUNTIMES, "node_modules/.bin", name);
