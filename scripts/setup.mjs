// Everything a checkout needs before it can build: idempotent, and quick when all of it is there.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, isAtLeast, isMain, main, NODE, outerPath, PINS, ROOT, read, run, say, TOOLS } from "./project.mjs";
import { toolchain } from "./toolchain.mjs";

const STAMP = join(ROOT, "node_modules/.installed-from");

/** Returns the environment in which cargo, worker-build and what they call find each other. */
export function setup() {
  // A script that this one's caller started, such as wrangler's build command: it inherits the answer.
  if (process.env.REALTIME_READY) return process.env;
  checkPrograms();
  installPackages();
  const env = toolchain();
  for (const tool of tools()) installTool(tool, env);
  rmSync(join(TOOLS, "target"), { recursive: true, force: true });
  return { ...env, ...binaries(), REALTIME_READY: "1" };
}

function checkPrograms() {
  if (!isAtLeast(process.versions.node, "20")) {
    throw new Failure(`Node is ${process.versions.node}, and 20 or newer is needed: https://nodejs.org`);
  }
}

/** `npm ci`, when the lock file is not the one that node_modules was made from. */
function installPackages() {
  const wanted = createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted && existsSync(NODE)) return;
  say("npm ci (about 20 s)");
  // On the outer Node: npm replaces the one in node_modules. The engine warnings are about that outer Node, which runs none of it.
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    env: { ...process.env, PATH: outerPath() },
    stdio: ["ignore", "ignore", "inherit"],
  });
  writeFileSync(STAMP, wanted);
}

function tools() {
  return [
    { crate: "worker-build", program: "worker-build", version: PINS["worker-build"], time: "3 minutes" },
    { crate: "wasm-bindgen-cli", program: "wasm-bindgen", version: bindgenVersion(), time: "2 minutes" },
  ];
}

/** The command must be exactly as old as the library, so the library's pin is the only one. */
function bindgenVersion() {
  const manifest = readFileSync(join(ROOT, "Cargo.toml"), "utf8");
  const version = manifest.match(/^wasm-bindgen = "=([^"]+)"/m)?.[1];
  if (!version) throw new Failure('Cargo.toml must pin wasm-bindgen exactly: wasm-bindgen = "=…"');
  return version;
}

function installTool({ crate, program, version, time }, env) {
  const installed = read(toolPath(program), ["--version"])?.split(" ").at(-1);
  if (installed === version) return;
  say(`cargo install ${crate} ${version} (once, about ${time})`);
  mkdirSync(TOOLS, { recursive: true });
  run("cargo", ["install", crate, "--version", version, "--locked", "--root", TOOLS, "--quiet", "--force"], {
    env: { ...env, CARGO_TARGET_DIR: join(TOOLS, "target") },
  });
}

function toolPath(program) {
  return join(TOOLS, "bin", program);
}

/** What worker-build calls, so that it downloads nothing. */
function binaries() {
  return {
    WASM_BINDGEN_BIN: toolPath("wasm-bindgen"),
    WASM_OPT_BIN: join(ROOT, "node_modules/.bin/wasm-opt"),
    ESBUILD_BIN: join(ROOT, "node_modules/.bin/esbuild"),
  };
}

if (isMain(import.meta.url)) await main(setup);
