// All that a browser test needs: the worker in workerd, an agent that the test plays, the network, the example's page.

import { mkdtemp, rm } from "node:fs/promises";
import type { Server as Site } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { TestAgent } from "../../../../../miniflare-tests/support/agent.ts";
import { Runtime, type Server } from "../../../../../miniflare-tests/support/runtime.ts";
import { SECRET } from "../../../../../miniflare-tests/support/worker.ts";
import { serve } from "../../../examples/server.mjs";
import { Network } from "./network.ts";

/** Puts the files of a page into a folder. */
export type Build = (folder: string) => Promise<void>;

/** A worker with these settings. */
export type Start<W> = (settings: Record<string, string>) => Promise<W>;

/** A process that can be killed. It takes no files. */
const runtime: Start<Runtime> = (settings) => Runtime.start({ settings });

export class Stage<W extends Server & AsyncDisposable = Runtime> implements AsyncDisposable {
  readonly worker: W;
  readonly agent: TestAgent;
  readonly network: Network;
  readonly #site: Site;
  readonly #folder: string;

  static set(build: Build): Promise<Stage> {
    return Stage.with(build, runtime);
  }

  /** With another worker. */
  static async with<W extends Server & AsyncDisposable>(build: Build, start: Start<W>): Promise<Stage<W>> {
    const folder = await mkdtemp(join(tmpdir(), "realtime-page-"));
    await build(folder);
    const agent = await TestAgent.start();
    const worker = await start({ AGENT_URL: `${agent.url}/api/v1/chat/stream`, CHAT_ACCESS: "open" });
    const network = await Network.to(worker.url("/"));
    const site = await serve({ "/": pathToFileURL(`${folder}/`) }, { port: 0, secret: SECRET });
    return new Stage(worker, agent, network, site, folder);
  }

  private constructor(worker: W, agent: TestAgent, network: Network, site: Site, folder: string) {
    this.worker = worker;
    this.agent = agent;
    this.network = network;
    this.#site = site;
    this.#folder = folder;
  }

  /** The address of the page, for a user, a chat and an investigation of the test's own. */
  page(user: string, name: string): string {
    const { port } = this.#site.address() as AddressInfo;
    const query = new URLSearchParams({ user, session: name, investigation: name, server: this.network.url });
    return `http://127.0.0.1:${port}/?${query}`;
  }

  /** Publishes as a backend does. */
  async publish(path: string, messages: unknown): Promise<void> {
    const headers = { authorization: `Bearer ${this.worker.token({ role: "service", sub: "backend" })}` };
    const url = this.worker.url(`/api/v1/ws${path}/messages`);
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(messages) });
    if (!response.ok) throw new Error(await response.text());
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into messages of many shapes
  async log(path: string): Promise<any[]> {
    const headers = { authorization: `Bearer ${this.worker.token({ role: "service", sub: "backend" })}` };
    const response = await fetch(this.worker.url(`/api/v1/ws${path}/messages?limit=1000`), { headers });
    return (await response.json()).messages;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#site.closeAllConnections();
    await new Promise((done) => this.#site.close(done));
    await this.network[Symbol.asyncDispose]();
    await this.worker[Symbol.asyncDispose]();
    await this.agent[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
