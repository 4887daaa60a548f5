// Which Rust to use. One compiler serves the host's tests, the wasm and clippy.
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { BIN, buildStd, hasPackages, installPackages, WASM } from "./distribution.mjs";
import { Failure, isAtLeast, outerPath, PINS, read, run, say } from "./project.mjs";

/** The environment for cargo, clippy and worker-build. Installs what is missing. */
export function toolchain() {
  const env = { ...process.env };
  if (process.env.RUST_TOOLCHAIN !== "distribution" && (isReady(env) || addWithRustup(env))) return env;
  const distribution = distributionEnvironment();
  if (prepareDistribution(distribution)) return distribution;
  throw new Failure(advice(env));
}

function prepareDistribution(env) {
  try {
    if (!hasPackages() && !installPackages()) return false;
    if (!isReady(env)) buildStd(env);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    say(error.message);
    return false;
  }
  return isReady(env);
}

/** Links an empty module: that proves the compiler's age, its wasm std (of the same version) and its linker in one go. */
export function isReady(env) {
  const version = rustVersion(env);
  if (!version || !isAtLeast(version, PINS.rust)) return false;
  const output = join(tmpdir(), `wasm-probe-${process.pid}.wasm`);
  const args = ["--target", WASM, "--crate-type", "cdylib", "-o", output, "-"];
  const linked = read("rustc", args, { env, input: "", stdio: ["pipe", "pipe", "ignore"] }) !== undefined;
  rmSync(output, { force: true });
  return linked && read("cargo", ["--version"], { env }) !== undefined;
}

function rustVersion(env) {
  return read("rustc", ["--version"], { env })?.split(" ")[1];
}

function addWithRustup(env) {
  const version = rustVersion(env);
  if (!version || read("rustup", ["--version"], { env }) === undefined) return false;
  if (!isAtLeast(version, PINS.rust)) {
    say(`rustup's Rust is ${version}, and ${PINS.rust} or newer is needed ("rustup update" gets it)`);
    return false;
  }
  say(`rustup target add ${WASM} (about 10 s)`);
  try {
    run("rustup", ["target", "add", WASM], { env, stdio: ["ignore", "ignore", "ignore"], timeout: 300_000 });
  } catch {
    say("rustup could not add the target (no network?): trying the distribution's Rust instead");
    return false;
  }
  return isReady(env);
}

/** The distribution's programs first. Cargo looks into its own home before PATH for clippy, unless PATH names that home. */
function distributionEnvironment() {
  const cargoHome = process.env.CARGO_HOME ?? join(process.env.HOME ?? "", ".cargo");
  const path = [BIN, outerPath(), join(cargoHome, "bin")].join(delimiter);
  const { RUSTC, RUSTDOC, RUSTUP_TOOLCHAIN, CARGO, ...rest } = process.env;
  return { ...rest, PATH: path };
}

function advice(env) {
  const version = rustVersion(env);
  const found = version ? `Rust ${version} is here` : "Rust is not here";
  return [
    `No Rust that can build the worker: ${found}; what is needed is ${PINS.rust} or newer with the target ${WASM}.`,
    `With rustup (https://rustup.rs): rustup update stable && rustup target add ${WASM}`,
    "Without it, on Debian with its security updates: apt-get install rustc-web cargo-web rust-web-src lld-22 (or the lld of the same LLVM),",
    "then run this again; rustc-web of bookworm without them is 1.85, which is too old.",
  ].join("\n");
}
