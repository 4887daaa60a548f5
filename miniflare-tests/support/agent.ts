// An agent that a test plays: it speaks as the backend or as OpenAI does, whichever it is asked for, and says what,
// when, in what pieces and for how long the test wants.

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

/** How long a question may take before a test is given up: it fails a hanging test, it measures nothing. */
const PATIENCE = 10_000;

const BACKEND = "/api/v1/chat/stream";
const OPENAI = "/v1/chat/completions";

/** What an agent does with one question. It may do nothing, and so never answer. */
export type Script = (call: Call) => void | Promise<void>;

/** How the caller left: before the answer ended, or after; or it did not leave, and was cut off. */
export type Closed = "aborted" | "ended" | "cut";

/** In what an answer is written: so many bytes at a time, whatever they are a part of, and a pause after each. */
export interface Pace {
  bytes?: number;
  pauseMs?: number;
}

/** One question, and the answer to it. What is written when the caller has left is dropped. */
export class Call {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into questions of both protocols
  readonly body: any;
  readonly closed: Promise<Closed>;
  pace: Pace = {};
  #response: ServerResponse;
  #cut = false;

  constructor(path: string, headers: IncomingHttpHeaders, body: unknown, response: ServerResponse) {
    this.path = path;
    this.headers = headers;
    this.body = body;
    this.#response = response;
    this.closed = new Promise((resolve) => {
      response.on("close", () => resolve(this.#cut ? "cut" : response.writableFinished ? "ended" : "aborted"));
    });
  }

  /** Answers with nothing but a status. */
  async refuse(status: number, body: unknown = { detail: `status ${status}` }): Promise<void> {
    this.#response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    await this.closed;
  }

  /** Says that it is somewhere else. */
  async redirect(status: number, location: string): Promise<void> {
    this.#response.writeHead(status, { location }).end();
    await this.closed;
  }

  /** Begins to answer, and says nothing yet. Whatever is written does this first. */
  open(): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  }

  /** Writes a part of the answer's text. */
  async write(text: string): Promise<void> {
    if (this.path === BACKEND) await this.event({ type: "chunk", content: text });
    else await this.event({ choices: [{ index: 0, delta: { content: text }, finish_reason: null }] });
  }

  /** Writes an event. */
  async event(data: unknown): Promise<void> {
    await this.raw(`data: ${JSON.stringify(data)}\n\n`);
  }

  /** Writes just these bytes, at the pace that is set. */
  async raw(bytes: string | Uint8Array): Promise<void> {
    this.open();
    const whole = Buffer.from(bytes);
    const { bytes: size = whole.length, pauseMs = 0 } = this.pace;
    for (let place = 0; place < whole.length; place += size) {
      if (!(await this.#send(whole.subarray(place, place + size)))) return;
      if (pauseMs > 0) await sleep(pauseMs);
    }
  }

  /** Says that the answer is complete, with these fields if it is the backend's, and ends it. */
  async done(extra: object = {}): Promise<void> {
    if (this.path === BACKEND) await this.event({ type: "complete", ...extra });
    else {
      await this.event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
      await this.raw("data: [DONE]\n\n");
    }
    await this.end();
  }

  /** Says that the answer failed, and ends it. */
  async fail(message: string): Promise<void> {
    await this.event(this.path === BACKEND ? { type: "error", message } : { error: { message } });
    await this.end();
  }

  /** Writes this text again and again until the caller leaves. */
  async flood(text: string): Promise<void> {
    while (!this.#response.destroyed) await this.write(text);
  }

  /** Ends the stream, whether the answer is complete or not. */
  async end(): Promise<void> {
    this.open();
    this.#response.end();
    await this.closed;
  }

  /** Breaks the connection. */
  async cut(): Promise<void> {
    this.#cut = !this.#response.destroyed;
    this.#response.destroy();
    await this.closed;
  }

  /** Whether it could be sent. Waits until the system has taken it, so that a flood does not pile up here. */
  #send(bytes: Uint8Array): Promise<boolean> {
    const sent = new Promise<boolean>((resolve) => this.#response.write(bytes, (error) => resolve(!error)));
    // What was on its way when the caller left is never heard of again.
    return Promise.race([sent, this.closed.then(() => false)]);
  }
}

export class TestAgent implements AsyncDisposable {
  #server = createServer();
  #script: Script | undefined;
  #calls: Call[] = [];
  #arrived = new EventTarget();

  /** One that answers every question by the script; without one, the test takes the questions and answers itself. */
  static async start(script?: Script): Promise<TestAgent> {
    const agent = new TestAgent(script);
    agent.#server.listen(0, "127.0.0.1");
    await once(agent.#server, "listening");
    return agent;
  }

  private constructor(script: Script | undefined) {
    this.#script = script;
    this.#server.on("request", async (request, response) => {
      const path = request.url ?? "";
      if (request.method !== "POST" || ![BACKEND, OPENAI].includes(path)) return response.writeHead(404).end();
      const body = await text(request).catch(() => undefined);
      if (body === undefined) return; // The caller left before it had asked.
      const call = new Call(path, request.headers, JSON.parse(body), response);
      this.#calls.push(call);
      this.#arrived.dispatchEvent(new Event("call"));
      await this.#script?.(call);
    });
  }

  /** Where it is; the two paths follow. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Questions that the test has not taken. */
  get waiting(): number {
    return this.#calls.length;
  }

  /** Takes the next question. */
  async next(): Promise<Call> {
    const signal = AbortSignal.timeout(PATIENCE);
    while (this.#calls.length === 0) await once(this.#arrived, "call", { signal });
    return this.#calls.shift() as Call;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
