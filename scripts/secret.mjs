// The key that signs tokens during development. `wrangler dev` reads .dev.vars; it is never deployed.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, ROOT, say } from "./project.mjs";

const FILE = join(ROOT, ".dev.vars");
const NAME = "JWT_SECRET_KEY";

/** The secret of .dev.vars; makes the file with a fresh one if there is none. */
export function devSecret() {
  if (!existsSync(FILE)) create();
  const secret = readFileSync(FILE, "utf8").match(new RegExp(`^${NAME}\\s*=\\s*"?([^"\\r\\n]+?)"?\\s*$`, "m"))?.[1];
  if (!secret) throw new Failure(`.dev.vars has no ${NAME}: add one, or remove the file to get a fresh one`);
  return secret;
}

function create() {
  say(`.dev.vars: a fresh ${NAME} for this checkout`);
  const note = "# Read by `wrangler dev` alone. Deployments get theirs from `wrangler secret put`.\n";
  writeFileSync(FILE, `${note}${NAME}="${randomBytes(32).toString("hex")}"\n`, { mode: 0o600, flag: "wx" });
}
