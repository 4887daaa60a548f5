// `npm run check`: everything about the text that a machine can judge. Runs all of it, then says what failed.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { WASM } from "./distribution.mjs";
import { Failure, main, NODE, ROOT, run, say } from "./project.mjs";
import { setup } from "./setup.mjs";

const MAX_LINES = 500;
const FOLDERS = ["src", "tests", "scripts", "miniflare-tests", "bench", "clients"];
const LANGUAGES = /\.(rs|tsx?|js|mjs|py)$/;
/** What is made and not written. */
const MADE = /(?:^|\/)(?:dist|node_modules|\.venv)\//;

const DENY = ["--", "-D", "warnings"];
const ON_WASM = ["clippy", "--locked", "--lib", "--target", WASM];

function checks(env) {
  const cargo = (...args) => run("cargo", args, { env });
  const npm = (program, ...args) => run(NODE, [join(ROOT, "node_modules", program), ...args]);
  return [
    ["rustfmt", () => cargo("fmt", "--check")],
    ["clippy, host", () => cargo("clippy", "--locked", "--all-targets", ...DENY)],
    ["clippy, wasm", () => cargo(...ON_WASM, ...DENY)],
    ["clippy, wasm with faults", () => cargo(...ON_WASM, "--features", "fault-injection", ...DENY)],
    ["rustdoc", () => run("cargo", ["doc", "--locked", "--no-deps"], { env: { ...env, RUSTDOCFLAGS: "-Dwarnings" } })],
    ["biome", () => npm("@biomejs/biome/bin/biome", "check", "--error-on-warnings")],
    ["tsc", () => npm("typescript/bin/tsc", "--noEmit")],
    ["file length", checkLengths],
  ];
}

function checkLengths() {
  const long = FOLDERS.flatMap(sources).filter((file) => lines(file) > MAX_LINES);
  if (long.length > 0) throw new Failure(`over ${MAX_LINES} lines: ${long.join(", ")}`);
}

function sources(folder) {
  if (!existsSync(join(ROOT, folder))) return [];
  const files = readdirSync(join(ROOT, folder), { recursive: true });
  return files.filter((file) => LANGUAGES.test(file) && !MADE.test(file)).map((file) => join(folder, file));
}

function lines(file) {
  return readFileSync(join(ROOT, file), "utf8").split("\n").length - 1;
}

/** Runs a check; returns its name if it failed. */
function failed([name, check]) {
  say(name);
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(error.message);
    return [name];
  }
}

await main(() => {
  const env = { ...setup(), WASM_BINDGEN_USE_JS_SYS: "1" };
  const failures = checks(env).flatMap(failed);
  if (failures.length > 0) throw new Failure(`failed: ${failures.join("; ")}`);
  say("all checks passed");
});
