// Whose pages may come, and what their browsers are told.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

const HOME = "https://cidadao.ai";
const EVIL = ["https://cidadao.ai.evil.com", "https://evilcidadao.ai", "http://cidadao.ai", `${HOME}/`, "null"];

let open: TestWorker;
let listed: TestWorker;
before(async () => {
  open = await TestWorker.start();
  listed = await TestWorker.start({ settings: { ALLOWED_ORIGINS: `${HOME}, https://*.cidadao.ai` } });
});
after(() => Promise.all([open, listed].map((each) => each[Symbol.asyncDispose]())));

interface Asked {
  method?: string;
  origin?: string;
  token?: string;
  body?: string;
}

function ask(worker: TestWorker, path: string, { method = "GET", origin, token, body }: Asked): Promise<Response> {
  const headers: Record<string, string> = {};
  if (origin !== undefined) headers.origin = origin;
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  return fetch(worker.url(`/api/v1/ws${path}`), { method, headers, ...(body && { body }) });
}

const allowed = (response: Response) => response.headers.get("access-control-allow-origin");

/** One request for every kind of answer: good, refused, from the room, refused by the room, without a path. */
function everyAnswer(worker: TestWorker): [string, Asked, number][] {
  const post = { method: "POST", token: worker.token({ role: "service" }) };
  return [
    ["/health", {}, 200],
    ["/health?room=chat:1", { token: post.token }, 200],
    ["/chat/1", {}, 401],
    ["/analysis/1", { token: post.token }, 426],
    ["/chat/1", { token: post.token }, 404],
    ["/chat/1/messages", { ...post, body: '{"type":"a"}' }, 200],
    ["/chat/1/messages", { ...post, body: "{" }, 400],
    ["/chat/1/messages", { ...post, token: worker.token({}), body: "{}" }, 403],
    ["/nowhere", {}, 404],
  ];
}

test("a page on the list may read every answer", async () => {
  for (const origin of [HOME, "https://app.cidadao.ai"]) {
    for (const [path, asked, status] of everyAnswer(listed)) {
      const response = await ask(listed, path, { ...asked, origin });
      assert.equal(response.status, status, path);
      assert.deepEqual([allowed(response), response.headers.get("vary")], [origin, "origin"], path);
      assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
      assert.equal(typeof (await response.json()), "object");
    }
  }
});

test("who is no browser is answered as ever", async () => {
  for (const [path, asked, status] of everyAnswer(listed)) {
    const response = await ask(listed, path, asked);
    assert.deepEqual([response.status, allowed(response)], [status, null], path);
  }
});

test("a page of another origin is refused whatever it asks, and may not read why", async () => {
  for (const origin of EVIL) {
    for (const [path, asked] of [...everyAnswer(listed), ["/health", { method: "OPTIONS" }] as const]) {
      const response = await ask(listed, path, { ...asked, origin });
      assert.equal(response.status, 403, `${origin} ${path}`);
      assert.deepEqual([allowed(response), response.headers.get("vary")], [null, "origin"]);
      assert.equal(((await response.json()) as { error: { code: string } }).error.code, "ORIGIN_NOT_ALLOWED");
    }
  }
});

test("without a list every origin may read every answer", async () => {
  for (const origin of [HOME, "https://evil.com", "null"]) {
    for (const [path, asked, status] of everyAnswer(open)) {
      const response = await ask(open, path, { ...asked, origin });
      assert.deepEqual([response.status, allowed(response)], [status, origin], path);
    }
  }
});

test("a socket opens for a page on the list and for who is no browser, and for nobody else", async () => {
  const url = listed.url(`/api/v1/ws/chat/1?token=${listed.token({})}`, "ws");
  for (const origin of [undefined, HOME, "https://app.cidadao.ai"]) {
    using client = await Client.open(url, [], origin === undefined ? {} : { origin });
    assert.equal(client.welcome?.type, "connection");
  }
  for (const origin of EVIL) {
    using client = new Client(url, [], { origin });
    const { type, data } = await client.next();
    assert.deepEqual([type, data.code, data.retry], ["error", "ORIGIN_NOT_ALLOWED", false], origin);
    assert.deepEqual(await client.closed, { code: 1008, reason: "ORIGIN_NOT_ALLOWED" });
  }
  using anywhere = await Client.open(open.url(`/api/v1/ws?token=${open.token({})}`, "ws"), [], { origin: "null" });
  assert.equal(anywhere.welcome?.type, "connection_established");
});

test("a preflight needs no token and hears what the path takes", async () => {
  for (const [path, method] of [
    ["/health", "GET"],
    ["", "GET"],
    ["/analysis/1", "GET"],
    ["/tickets", "POST"],
    ["/chat/1/messages", "GET, POST"],
    ["/system/messages", "GET, POST"],
  ] as const) {
    const response = await ask(listed, path, { method: "OPTIONS", origin: HOME });
    assert.deepEqual([response.status, await response.text()], [204, ""], path);
    const { vary, ...headers } = Object.fromEntries(response.headers);
    assert.equal(vary, "origin");
    assert.equal(headers["access-control-allow-origin"], HOME);
    assert.equal(headers["access-control-allow-methods"], method);
    assert.equal(
      headers["access-control-allow-headers"],
      "authorization, content-type, if-none-match, if-range, range, x-content-sha256",
    );
    assert.equal(headers["access-control-max-age"], "86400");
  }
  for (const [path, status] of [
    ["/nowhere", 404],
    ["/chat/%20/messages", 400],
  ] as const) {
    const response = await ask(listed, path, { method: "OPTIONS", origin: HOME });
    assert.deepEqual([response.status, allowed(response)], [status, HOME], path);
  }
});

test("a bad entry is said in log and health, and the good ones hold", async () => {
  await using worker = await TestWorker.start({ settings: { ALLOWED_ORIGINS: `cidadao.org,${HOME}` } });
  const response = await ask(worker, "/health", { origin: HOME });
  assert.deepEqual([response.status, allowed(response)], [503, HOME]);
  const { problems } = (await response.json()) as { problems: [string] };
  assert.match(problems[0], /^ALLOWED_ORIGINS: "cidadao.org" is not an origin/);
  assert.ok(worker.log.some((line) => line.includes(problems[0])));
  assert.equal((await ask(worker, "/health", { origin: "https://cidadao.org" })).status, 403);
});
