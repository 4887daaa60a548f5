// Rust from Debian's packages, for machines that reach no server of rustup's. They hold no std for wasm32, but its
// sources: it is built once with the same compiler and put where that compiler looks for it.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAtLeast, PINS, read, run, say, TOOLS } from "./project.mjs";

export const WASM = "wasm32-unknown-unknown";
export const BIN = "/usr/bin";
const SOURCES = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/** Never removes a package to make room for another. */
const INSTALL = ["install", "-qq", "-y", "--no-install-recommends", "--no-remove"];

/** Two lines of packages: `-web` follows upstream (it is what Debian builds browsers with), the other is the release's own. */
const FAMILIES = [
  { rustc: "rustc-web", others: ["cargo-web", "rust-web-src", "rust-web-clippy", "rustfmt-web"] },
  { rustc: "rustc", others: ["cargo", "rust-src", "rust-clippy", "rustfmt"] },
];

/** Whether the compiler and everything that comes with it are here already. */
export function hasPackages() {
  const programs = ["rustc", "cargo", "cargo-clippy", "cargo-fmt"].map((name) => join(BIN, name));
  return [...programs, SOURCES].every((path) => existsSync(path)) && hasLinker() && isAtLeast(compiler(), PINS.rust);
}

/** False if this machine has no such packages, or only old ones. */
export function installPackages() {
  if (!read("apt-get", ["--version"])) return false;
  say("apt-get update, then Rust from the distribution (about 1 minute)");
  apt(["update", "-qq"]);
  const family = FAMILIES.find(isRecent);
  if (!family) return false;
  apt([...INSTALL, family.rustc, ...family.others]);
  if (!hasLinker()) apt([...INSTALL, linker()]);
  return true;
}

function compiler() {
  return read(join(BIN, "rustc"), ["--version"])?.split(" ")[1] ?? "0";
}

function hasLinker() {
  return existsSync(join(BIN, linker()));
}

/** The linker is that of the LLVM which the compiler was built with. */
function linker() {
  const details = read(join(BIN, "rustc"), ["--version", "--verbose"]) ?? "";
  return `lld-${details.match(/LLVM version: (\d+)/)?.[1]}`;
}

function isRecent({ rustc }) {
  const candidate = read("apt-cache", ["policy", rustc])?.match(/Candidate: ([0-9.]+)/)?.[1];
  if (!candidate) return false;
  const recent = isAtLeast(candidate, PINS.rust);
  if (!recent)
    say(
      `the distribution's ${rustc} is ${candidate}, too old: ${PINS.rust} or newer is needed (on bookworm: add bookworm-security)`,
    );
  return recent;
}

function apt(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  asRoot("apt-get", args, { env, stdio: ["inherit", "ignore", "inherit"] });
}

function asRoot(program, args, options = {}) {
  if (process.getuid() === 0) return run(program, args, options);
  // Without a terminal nobody can type a password: fail rather than wait.
  run("sudo", [...(process.stdin.isTTY ? [] : ["-n"]), program, ...args], options);
}

/** Debian's compiler asks for `rust-lld` and has none; it looks for it beside its libraries. */
function linkLinker() {
  const libraries = read(join(BIN, "rustc"), ["--print", "target-libdir"]);
  const folder = join(libraries, "../bin");
  asRoot("mkdir", ["-p", folder]);
  asRoot("ln", ["-sfn", join(BIN, linker()), join(folder, "rust-lld")]);
}

/** Bitcode must be embedded, or the release build's link-time optimisation has nothing to work on. */
export function buildStd(env) {
  say(`building std for ${WASM} from the compiler's sources (once, about 1 minute)`);
  linkLinker();
  const crate = join(TOOLS, "std");
  writeEmptyCrate(crate);
  const args = [
    "build",
    "--quiet",
    "--release",
    "-Z",
    "build-std=std,panic_abort",
    "--target",
    WASM,
    "--target-dir",
    "target",
  ];
  const flags = { RUSTC_BOOTSTRAP: "1", RUSTFLAGS: "-Cembed-bitcode=yes" };
  run("cargo", args, { cwd: crate, env: { ...env, ...flags } });
  publishStd(join(crate, "target", WASM, "release/deps"), env);
  rmSync(crate, { recursive: true });
}

function writeEmptyCrate(folder) {
  mkdirSync(join(folder, "src"), { recursive: true });
  const manifest = '[package]\nname = "empty"\nedition = "2021"\n[lib]\ncrate-type = ["cdylib"]\n[workspace]\n';
  writeFileSync(join(folder, "Cargo.toml"), manifest);
  writeFileSync(join(folder, "src/lib.rs"), "");
}

/** Replaces whatever an older compiler left there. */
function publishStd(built, env) {
  const libdir = read("rustc", ["--print", "target-libdir", "--target", WASM], { env });
  const libraries = readdirSync(built).filter((name) => name.endsWith(".rlib"));
  asRoot("rm", ["-rf", libdir]);
  asRoot("install", ["-D", "-m", "644", "-t", libdir, ...libraries.map((name) => join(built, name))]);
}
