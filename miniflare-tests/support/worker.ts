// The built worker in real workerd, on a free port of this machine, with its storage in a folder of its own.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { type Claims, mint } from "./token.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

export const SECRET = "a secret for tests, at least 32 bytes long";

export interface Options {
  /** Settings of the worker. The secret is set unless it is given as "". */
  settings?: Record<string, string>;
  /** The folder of another build. */
  build?: string;
  /** Whether it has a place for files: it has unless this is false. */
  bucket?: boolean;
  /** The build with the routes that break it, rather than the one that is deployed. */
  faults?: boolean;
}

/** Rows of storage, requests to objects (alarms among them), frames from sockets. */
export interface Cost {
  rows_read: number;
  rows_written: number;
  requests: number;
  frames_in: number;
}

interface Posted {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  body: any;
}

export class TestWorker implements AsyncDisposable {
  readonly log: string[] = [];
  #miniflare: Miniflare;
  #folder: string;
  #options: Options;
  #url = "";

  static async start(options: Options = {}): Promise<TestWorker> {
    const worker = new TestWorker(await mkdtemp(join(tmpdir(), "realtime-")), options);
    worker.#url = (await worker.#miniflare.ready).origin;
    return worker;
  }

  private constructor(folder: string, options: Options) {
    this.#folder = folder;
    this.#options = options;
    this.#miniflare = this.#launch();
  }

  /** Ends the whole worker without a word to anybody, and starts it again on the same storage. */
  async restart(): Promise<void> {
    await this.#miniflare.dispose();
    this.#miniflare = this.#launch();
    this.#url = (await this.#miniflare.ready).origin;
  }

  #launch(): Miniflare {
    const { settings = {}, faults = false, bucket = true } = this.#options;
    const build = resolve(ROOT, this.#options.build ?? (faults ? "build-faults" : "build"));
    return new Miniflare(
      convertV4MiniflareOptions({
        name: "realtime",
        host: "127.0.0.1",
        port: 0,
        resourcePersistencePath: this.#folder,
        modulesRoot: build,
        modules: [
          { type: "ESModule", path: join(build, "entry.js") },
          { type: "ESModule", path: join(build, "index.js") },
          { type: "CompiledWasm", path: join(build, "index_bg.wasm") },
        ],
        compatibilityDate: "2026-11-01",
        compatibilityFlags: ["no_web_socket_compression"],
        durableObjects: { ROOMS: { className: "Room", useSQLite: true } },
        r2Buckets: bucket ? ["FILES"] : [],
        bindings: { JWT_SECRET_KEY: SECRET, ...settings },
        handleStructuredLogs: ({ message }) => this.log.push(message),
      }),
    );
  }

  /** The address of a path, for HTTP or (with `ws`) for WebSockets. */
  url(path: string, scheme: "http" | "ws" = "http"): string {
    return this.#url.replace(/^http/, scheme) + path;
  }

  token(claims: Claims): string {
    return mint(claims, SECRET);
  }

  /** Publishes, as a service unless another token is given. */
  async publish(path: string, messages: unknown, token = this.token({ role: "service" })): Promise<Posted> {
    const isRaw = typeof messages === "string" || messages instanceof Uint8Array;
    const body = isRaw ? (messages as string | Uint8Array<ArrayBuffer>) : JSON.stringify(messages);
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(this.url(`/api/v1/ws${path}/messages`), { method: "POST", headers, body });
    return { status: response.status, body: await response.json() };
  }

  /** What the rooms have cost since this was last asked. Needs `faults`. */
  async meter(): Promise<Cost> {
    return (await fetch(this.url("/fault/meter"))).json() as Promise<Cost>;
  }

  /** Where files are that are kept. */
  async objects(): Promise<string[]> {
    const bucket: unknown = await this.#miniflare.getR2Bucket("FILES");
    const { objects } = await (bucket as { list(): Promise<{ objects: { key: string }[] }> }).list();
    return objects.map(({ key }) => key);
  }

  /** Puts a room to sleep: its memory is gone, its sockets stay open. */
  async evict(room: string): Promise<void> {
    await this.#miniflare.unsafeEvictDurableObject("realtime", "Room", { name: room, webSockets: "hibernate" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#miniflare.dispose();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
