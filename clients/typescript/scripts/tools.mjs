// What the scripts of this package share: its folder, and the repository's tools.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

export const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

const require = createRequire(import.meta.url);

/** Runs a program of Node's, such as that of an installed package, and ends with its code if it fails. */
export function node(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: PACKAGE, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

/** A file of an installed package. */
export const installed = (path) => require.resolve(path);

/** The compiler. Its package names no files, so it is found beside its description. */
export const TSC = installed("typescript/package.json").replace(/package\.json$/, "bin/tsc");
