// The worker as wrangler runs it: build/, or with --faults the tests' own build-faults/.
//
// The released module has no names of functions: they are for people, and every start would load them. The one with
// names lies beside it, where nothing imports it; it has the same code at the same places, so it reads its stacks.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { WASM } from "./distribution.mjs";
import { Failure, isMain, main, PINS, ROOT, say, TOOLS } from "./project.mjs";
import { setup } from "./setup.mjs";
import { withoutCustomSections } from "./strip.mjs";

/** Cloudflare counts the compressed module; a start-up loads all of it. */
const BUDGET_KIB = 640;

const MODULE = "index_bg.wasm";
const NAMED_MODULE = "index_bg.named.wasm";

const RELEASE = { folder: "build", profile: ["--release"], cargo: ["--release"], features: [] };

/** The dev profile: quick to build, and cargo gives the two builds no output file in common, so they may run at once. */
const FAULTS = {
  folder: "build-faults",
  profile: ["--dev", "--no-opt"],
  cargo: [],
  features: ["--features", "fault-injection"],
};

export function buildRelease(env) {
  build(RELEASE, env);
  checkSize(join(ROOT, RELEASE.folder));
}

export function buildFaults(env) {
  build(FAULTS, env);
}

/** Cargo knows best whether anything changed; the steps after it run only if its output did. */
function build(kind, env) {
  const stamp = join(ROOT, kind.folder, ".built-from");
  const source = fingerprint(compile(kind, env));
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== source) {
    bundle(kind, env);
    if (kind === RELEASE) strip(join(ROOT, kind.folder));
    writeFileSync(stamp, source);
  }
  copyIfChanged(join(ROOT, "src/edge/entry.js"), join(ROOT, kind.folder, "entry.js"));
}

function locked() {
  return process.env.CI ? ["--locked"] : [];
}

/** Returns the path of the module that cargo made. */
function compile({ cargo, features }, env) {
  const args = ["build", "--lib", "--target", WASM, ...cargo, ...features, ...locked()];
  const result = spawnSync("cargo", [...args, "--message-format=json-render-diagnostics"], {
    cwd: ROOT,
    // worker-build sets it: without it cargo would hand worker-build differently expanded macros from its cache.
    env: { ...env, WASM_BINDGEN_USE_JS_SYS: "1" },
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: Number.POSITIVE_INFINITY,
    encoding: "utf8",
  });
  if (result.status !== 0) throw new Failure(`cargo ${args.join(" ")} failed`);
  return modulePath(result.stdout);
}

function modulePath(messages) {
  const files = messages
    .split("\n")
    .filter(Boolean)
    .flatMap((line) => JSON.parse(line).filenames ?? []);
  return files.findLast((file) => file.endsWith(".wasm"));
}

/** The module and all that works on it afterwards, or its version. */
function fingerprint(module) {
  const hash = createHash("sha256").update(readFileSync(module));
  return hash
    .update(PINS["worker-build"])
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .update(readFileSync(fileURLToPath(new URL("strip.mjs", import.meta.url))))
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex");
}

/**
 * What worker-build does not know it hands to cargo, from the first such argument to the last. It talks a lot, and only
 * its failures are news.
 */
function bundle({ folder, profile, features }, env) {
  say(`worker-build → ${folder}/`);
  const args = [...profile, "--out-dir", folder, ...features, ...locked()];
  const result = spawnSync(join(TOOLS, "bin/worker-build"), args, { cwd: ROOT, env, encoding: "utf8" });
  if (result.status === 0) return;
  throw new Failure(
    `${result.stdout ?? ""}${result.stderr ?? ""}\nworker-build failed: ${result.error?.message ?? result.status}`,
  );
}

function strip(folder) {
  const named = readFileSync(join(folder, MODULE));
  writeFileSync(join(folder, NAMED_MODULE), named);
  writeFileSync(join(folder, MODULE), withoutCustomSections(named));
}

/** Wrangler reloads when a file of the build is written, even with the same bytes. */
function copyIfChanged(from, to) {
  if (!existsSync(to) || !readFileSync(to).equals(readFileSync(from))) copyFileSync(from, to);
}

function checkSize(folder) {
  const [deployed, named] = [MODULE, NAMED_MODULE].map((name) => size(join(folder, name)));
  say(`wasm: ${deployed.raw} KiB, ${deployed.gzipped} KiB gzipped (budget ${BUDGET_KIB}; ${named.gzipped} with names)`);
  if (deployed.gzipped > BUDGET_KIB) throw new Failure(`the module is over its budget of ${BUDGET_KIB} KiB gzipped`);
}

function size(file) {
  const module = readFileSync(file);
  const [raw, gzipped] = [module.length, gzipSync(module).length].map((bytes) => Math.ceil(bytes / 1024));
  return { raw, gzipped };
}

if (isMain(import.meta.url)) {
  await main(() => {
    const { values } = parseArgs({ options: { faults: { type: "boolean" } } });
    const env = setup();
    return values.faults ? buildFaults(env) : buildRelease(env);
  });
}
