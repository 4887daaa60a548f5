// What the tests against the real worker share.

import { setTimeout as sleep } from "node:timers/promises";
import type { Claims } from "../../../../miniflare-tests/support/token.ts";
import { type Client, type ClientOptions, createClient, type Listenable, type Message } from "../../src/index.ts";

export interface Server {
  url(path: string, scheme?: "http" | "ws"): string;
  token(claims: Claims): string;
}

/** A client of `ana`, unless a token says otherwise. */
export function connect(server: Server, options: Partial<ClientOptions> = {}): Client {
  return createClient({ url: server.url(""), getToken: () => server.token({ sub: "ana" }), ...options });
}

/** Everything that is heard, by its number. */
export function collect(from: Listenable<object>): Message[] {
  const messages: Message[] = [];
  from.on("*", (message) => messages.push(message as Message));
  return messages;
}

/** Waits for something; how long it may take is no measure of anything. */
export async function until(what: string, isTrue: () => unknown): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await sleep(10);
  }
}

/** Publishes as a service; throws if it is not taken. */
export async function publish(server: Server, path: string, ...messages: object[]): Promise<void> {
  const response = await fetch(server.url(`/api/v1/ws${path}/messages`), {
    method: "POST",
    headers: { authorization: `Bearer ${server.token({ sub: "backend", role: "service" })}` },
    body: JSON.stringify(messages),
  });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
}

export const news = (...ns: number[]): object[] => ns.map((n) => ({ type: "news", data: { n } }));

export const numbers = (messages: Message[]): unknown[] => messages.map(({ data }) => (data as { n: number }).n);
