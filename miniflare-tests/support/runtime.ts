// The built worker in workerd alone, as a self-hoster runs it: a process that can be killed, and its storage on disk.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { type Claims, mint } from "./token.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const WORKERD = createRequire(import.meta.url).resolve("workerd/bin/workerd");
const FILES = ["entry.js", "index.js", "index_bg.wasm"];
const SECRET = "a secret for tests, at least 32 bytes long";
const LOG_LINES = 1_000;

export interface RuntimeOptions {
  /** The folder of the build. */
  build?: string;
  /** Settings of the worker. */
  settings?: Record<string, string>;
}

/** Where a worker is, and what opens it. */
export interface Server {
  url(path: string, scheme?: "http" | "ws"): string;
  token(claims: Claims): string;
}

export class Runtime implements Server, AsyncDisposable {
  /** The newest lines that it printed. */
  readonly log: string[] = [];
  readonly #folder: string;
  readonly #port: number;
  readonly #settings: Record<string, string>;
  #process: ChildProcess | undefined;

  static async start({ build = "build", settings = {} }: RuntimeOptions = {}): Promise<Runtime> {
    const folder = await mkdtemp(join(tmpdir(), "realtime-"));
    const runtime = new Runtime(folder, await freePort(), { JWT_SECRET_KEY: SECRET, ...settings });
    await runtime.#install(resolve(ROOT, build));
    await runtime.restart();
    return runtime;
  }

  private constructor(folder: string, port: number, settings: Record<string, string>) {
    this.#folder = folder;
    this.#port = port;
    this.#settings = settings;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  url(path: string, scheme: "http" | "ws" = "http"): string {
    return `${scheme}://127.0.0.1:${this.#port}${path}`;
  }

  /** A token that outlives any run, unless `claims` say otherwise. */
  token(claims: Claims): string {
    return mint({ exp: Math.floor(Date.now() / 1_000) + 24 * 3_600, ...claims }, SECRET);
  }

  /** Starts it on the storage that is there. */
  async restart(): Promise<void> {
    // Node has raised the limit of open files to what is allowed, and workerd inherits that: it needs two a socket.
    const child = spawn(WORKERD, ["serve", "--control-fd=3", join(this.#folder, "config.capnp")], {
      env: { ...process.env, ...this.#settings },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    this.#process = outlivedBy(child);
    for (const stream of [child.stdout, child.stderr]) this.#keep(stream);
    if (await listens(child)) return;
    throw new Error(`workerd did not start:\n${this.log.join("\n")}`);
  }

  /** Ends it as a crash of the machine's does: it gets to do nothing more. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** Asked to end, it would wait for the last socket to close: so it is killed here too. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** A copy of the build: it may be built anew while this runs, and a restart must find what it started with. */
  async #install(build: string): Promise<void> {
    await mkdir(join(this.#folder, "storage"));
    for (const file of FILES) await copyFile(join(build, file), join(this.#folder, file));
    await writeFile(join(this.#folder, "config.capnp"), this.#config());
  }

  #config(): string {
    const { date, flags } = compatibility();
    // Values come from the environment: they need not be quoted that way.
    const settings = Object.keys(this.#settings).map((name) => `(name = "${name}", fromEnvironment = "${name}")`);
    return `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "realtime", worker = .realtime),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "disk", disk = (path = "${join(this.#folder, "storage")}", writable = true)) ],
  sockets = [(name = "http", address = "127.0.0.1:${this.#port}", http = (), service = "realtime")] );
const realtime :Workerd.Worker = (
  modules = [
    (name = "entry.js", esModule = embed "entry.js"),
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm") ],
  compatibilityDate = "${date}",
  compatibilityFlags = [${flags}],
  durableObjectNamespaces = [(className = "Room", uniqueKey = "realtime-Room", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [${['(name = "ROOMS", durableObjectNamespace = "Room")', ...settings].join(", ")}] );
`;
  }

  #keep(stream: Readable | null): void {
    if (!stream) return;
    createInterface({ input: stream }).on("line", (line) => {
      this.log.push(line);
      if (this.log.length > LOG_LINES) this.log.shift();
    });
  }
}

/** What wrangler.toml says, which deploys the same build. */
function compatibility(): { date: string; flags: string } {
  const text = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
  const [, date = ""] = /^compatibility_date = "(.+)"$/m.exec(text) ?? [];
  const [, flags = ""] = /^compatibility_flags = \[(.*)\]$/m.exec(text) ?? [];
  return { date, flags };
}

/** Whether it came so far as to listen. */
async function listens(child: ChildProcess): Promise<boolean> {
  const control = createInterface({ input: child.stdio[3] as Readable });
  const ready = (async () => {
    for await (const line of control) if (JSON.parse(line).event === "listen") return true;
    return false;
  })();
  return Promise.race([ready, once(child, "exit").then(() => false)]);
}

/**
 * A port on which nothing listens. It is not one of those that the system hands to who connects: while the worker is
 * down, a client that dials such a port may be given it as its own, and is then connected with itself.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = createServer();
    const outcome = once(probe.listen(port, "127.0.0.1"), "listening").then(
      () => true,
      () => false,
    );
    if (!(await outcome)) continue;
    await new Promise((done) => probe.close(done));
    return port;
  }
}

const running = new Set<ChildProcess>();
let watching = false;

/** Whatever way this process ends, the child's end comes with it. */
function outlivedBy(child: ChildProcess): ChildProcess {
  if (!watching) watchExit();
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

function watchExit(): void {
  watching = true;
  process.on("exit", () => {
    for (const child of running) child.kill("SIGKILL");
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
}
