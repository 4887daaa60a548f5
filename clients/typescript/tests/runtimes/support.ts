// What the runtimes have in common: a real worker with an agent, the network to it, and a test that listens.

import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { TestAgent } from "../../../../miniflare-tests/support/agent.ts";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import { RUNTIMES } from "../../scripts/runtimes.mjs";
import { Network } from "../browser/support/network.ts";
import { news, publish } from "../worker/support.ts";

/** How long a program may take before it is ended: less than any timer of the client would keep it. */
export const PATIENCE_MS = 20_000;

export const PIECES = ["Custou ", "dois ", "milhões."];

/** What the scenario says in the end. */
export interface Report {
  runtime: string;
  numbers: number[];
  states: string[];
  answer: { status: string; text: string; pieces: string };
  files: { size: number; sha256: string }[];
}

/** The worker of all tests of a file. */
export class Stage implements AsyncDisposable {
  readonly #agent: TestAgent;
  readonly #worker: TestWorker;
  #plays = 0;

  static async set(): Promise<Stage> {
    const agent = await TestAgent.start(async (call) => {
      for (const piece of PIECES) await call.write(piece);
      await call.done();
    });
    // The server keeps nobody's place: what was missed comes because the client says where it was.
    const settings = { AGENT_URL: `${agent.url}/api/v1/chat/stream`, OFFLINE_TTL_SECONDS: "0" };
    return new Stage(agent, await TestWorker.start({ settings }));
  }

  private constructor(agent: TestAgent, worker: TestWorker) {
    this.#agent = agent;
    this.#worker = worker;
  }

  /** One run of the scenario, in a room and a chat of its own, until whatever runs it has ended by itself. */
  async play(run: (options: string) => Promise<unknown>): Promise<Report> {
    this.#plays += 1;
    const name = `runtime-${this.#plays}`;
    await using network = await Network.to(this.#worker.url(""));
    await using control = await Control.open(this.#worker, network, `/investigations/${name}`);
    const token = this.#worker.token({ sub: name });
    await run(JSON.stringify({ url: network.url, control: control.url, token, name, maxDelayMs: 500 }));
    return control.report();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker[Symbol.asyncDispose]();
    await this.#agent[Symbol.asyncDispose]();
  }
}

/** What a scenario asks of the test. */
class Control implements AsyncDisposable {
  readonly #server = createServer(async (request, response) => {
    const body = await text(request);
    const problem = await this.#do(request.url ?? "", body).catch(String);
    response.writeHead(problem ? 500 : 200).end(problem);
  });
  readonly #worker: TestWorker;
  readonly #network: Network;
  readonly #path: string;
  #last = 0;
  #report: Report | undefined;

  static async open(worker: TestWorker, network: Network, path: string): Promise<Control> {
    const control = new Control(worker, network, path);
    await once(control.#server.listen(0, "127.0.0.1"), "listening");
    return control;
  }

  private constructor(worker: TestWorker, network: Network, path: string) {
    this.#worker = worker;
    this.#network = network;
    this.#path = path;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  report(): Report {
    if (!this.#report) throw new Error("it ended without a report");
    return this.#report;
  }

  async #do(step: string, body: string): Promise<void> {
    if (step === "/publish") await this.#publish(1);
    else if (step === "/cut") await this.#cut();
    else if (step === "/report") this.#report = JSON.parse(body);
    else throw new Error(`no such step: ${step}`);
  }

  async #publish(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1) await publish(this.#worker, this.#path, ...news(++this.#last));
  }

  /** Two messages while nobody can be reached. */
  async #cut(): Promise<void> {
    this.#network.cut();
    await this.#publish(2);
    this.#network.mend();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** The file of a program here. */
export const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** Runs a program until it ends; rejected with what it said if it fails, or does not end. */
export async function execute(program: string, ...args: string[]): Promise<void> {
  const quiet = { DENO_NO_UPDATE_CHECK: "1", DO_NOT_TRACK: "1", NO_COLOR: "1" };
  const env = { ...process.env, ...quiet, DENO_DIR: join(RUNTIMES, "deno"), NODE_OPTIONS: "" };
  const limits = { timeout: PATIENCE_MS, killSignal: "SIGKILL" } as const;
  await promisify(execFile)(program, args, { env, ...limits }).catch((error) => {
    throw error.killed ? new Error(`it has not ended by itself: ${error.stderr}`) : error;
  });
}
