// Who gets in, and how those who do not are told.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sign } from "../scripts/token.mjs";
import { Client } from "./support/client.ts";
import { mint } from "./support/token.ts";
import { SECRET, TestWorker } from "./support/worker.ts";

const PATHS = ["/api/v1/ws", "/api/v1/ws/investigations/1", "/api/v1/ws/analysis/1", "/api/v1/ws/chat/1"];

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

const now = Math.floor(Date.now() / 1000);
const [, body] = mint({}, SECRET).split(".");
const none = Buffer.from('{"alg":"none"}').toString("base64url");

const REFUSED: Record<string, string | undefined> = {
  "no token": undefined,
  "an empty token": "",
  garbage: "garbage",
  "a refresh token": mint({ type: "refresh" }, SECRET),
  "a token without a type": mint({ type: undefined }, SECRET),
  "a token without a subject": mint({ sub: undefined }, SECRET),
  "a token without an end": mint({ exp: undefined }, SECRET),
  "an expired token": mint({ exp: now - 1 }, SECRET),
  "a token of tomorrow": mint({ nbf: now + 86_400 }, SECRET),
  "another secret": mint({}, "another secret of at least 32 bytes"),
  "algorithm none": `${none}.${body}.`,
  "a changed payload": mint({}, SECRET).replace(
    /\.[^.]*\./,
    `.${Buffer.from('{"sub":"root"}').toString("base64url")}.`,
  ),
};

for (const [name, token] of Object.entries(REFUSED)) {
  test(`${name} is refused as every other: 1008 on a socket, 401 in JSON over HTTP`, async () => {
    for (const path of PATHS) {
      const query = token === undefined ? "" : `?token=${token}`;
      using client = new Client(worker.url(path + query, "ws"));
      const { type, data } = await client.next();
      assert.equal(type, "error");
      assert.deepEqual(data, { code: "INVALID_TOKEN", message: "A valid access token is required.", retry: false });
      assert.deepEqual(await client.closed, { code: 1008, reason: "INVALID_TOKEN" });

      const response = await fetch(worker.url(path + query));
      assert.equal(response.status, 401);
      assert.equal(response.headers.get("www-authenticate"), "Bearer");
      assert.deepEqual(await response.json(), { error: data });
    }
  });
}

test("a token is taken from the query, from the header and from the list of subprotocols", async () => {
  const token = worker.token({});
  const url = worker.url("/api/v1/ws/investigations/1", "ws");
  using byQuery = await Client.open(`${url}?token=${token}`);
  using byHeader = await Client.open(url, [], { headers: { authorization: `Bearer ${token}` } });
  using byProtocol = await Client.open(url, ["cidadao.v1", `bearer.${token}`]);
  for (const client of [byQuery, byHeader, byProtocol]) assert.equal(client.welcome?.data.status, "connected");
});

test("the subprotocol is agreed on, the token is never echoed", async () => {
  const url = worker.url("/api/v1/ws/investigations/1", "ws");
  using asked = await Client.open(url, [`bearer.${worker.token({})}`, "cidadao.v1"]);
  assert.equal(asked.socket.protocol, "cidadao.v1");
  using plain = await Client.open(`${url}?token=${worker.token({})}`);
  assert.equal(plain.socket.protocol, "");
});

test("the browser's own WebSocket connects with the token among the subprotocols", async () => {
  const socket = new WebSocket(worker.url("/api/v1/ws", "ws"), ["cidadao.v1", `bearer.${worker.token({})}`]);
  const { data } = await new Promise<MessageEvent>((resolve, reject) => {
    socket.onmessage = resolve;
    socket.onerror = reject;
  });
  assert.equal(JSON.parse(data).type, "connection_established");
  socket.close();
});

test("the browser's own WebSocket learns why it was refused, though it offered subprotocols", async () => {
  const socket = new WebSocket(worker.url("/api/v1/ws", "ws"), ["cidadao.v1", "bearer.bad"]);
  const closed = await new Promise<CloseEvent>((resolve) => {
    socket.onclose = resolve;
  });
  assert.deepEqual([closed.code, closed.reason], [1008, "INVALID_TOKEN"]);
});

test("a header that only the worker itself may set opens nothing", async () => {
  const session = JSON.stringify({
    conn: crypto.randomUUID(),
    user: "root",
    expires: 9e15,
    connection_type: "general",
  });
  using client = new Client(worker.url("/api/v1/ws/chat/1", "ws"), [], { headers: { "x-session": session } });
  assert.equal((await client.next()).data.code, "INVALID_TOKEN");
  assert.equal((await client.closed).code, 1008);
});

test("only a service publishes", async () => {
  const refused = await worker.publish("/investigations/1", { type: "a" }, worker.token({ role: "user" }));
  assert.equal(refused.status, 403);
  assert.equal(refused.body.error.code, "FORBIDDEN");
  for (const token of [worker.token({ role: "service", type: "refresh" }), mint({ role: "service" }, "x".repeat(32))]) {
    assert.equal((await worker.publish("/investigations/1", { type: "a" }, token)).status, 401);
  }
});

for (const [name, secret] of [
  ["no secret", ""],
  ["a secret that can be guessed", "secret"],
] as const) {
  test(`with ${name} every token is refused, and log and health say why`, async () => {
    await using closed = await TestWorker.start({ settings: { JWT_SECRET_KEY: secret } });
    const token = sign({ sub: "ana", type: "access", exp: now + 60 }, secret);
    using client = new Client(closed.url(`/api/v1/ws?token=${token}`, "ws"));
    assert.deepEqual(await client.closed, { code: 1008, reason: "INVALID_TOKEN" });

    const health = await fetch(closed.url("/api/v1/ws/health"));
    assert.equal(health.status, 503);
    const { status, problems } = (await health.json()) as { status: string; problems: [string] };
    assert.equal(status, "misconfigured");
    assert.match(problems[0], /JWT_SECRET_KEY is .*: every token is refused/);
    assert.ok(
      closed.log.some((line) => line.includes(problems[0])),
      closed.log.join("\n"),
    );
  });
}
