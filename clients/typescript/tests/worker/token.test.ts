import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import NodeWebSocket from "ws";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import { type ClientOptions, RealtimeError, type SocketConstructor } from "../../src/index.ts";
import { collect, connect, news, publish, until } from "./support.ts";

const worker = await TestWorker.start();
after(() => worker[Symbol.asyncDispose]());

/** A token that ends in so many seconds. */
const shortLived = (seconds: number, sub = "ana") =>
  worker.token({ sub, exp: Math.floor(Date.now() / 1_000) + seconds });

/** What is dialed, by a socket that tells. */
function spying(): { dialed: { url: string; protocols: string[] }[]; options: Pick<ClientOptions, "WebSocket"> } {
  const dialed: { url: string; protocols: string[] }[] = [];
  class Spy extends WebSocket {
    constructor(url: string, protocols: string[] = []) {
      super(url, protocols);
      dialed.push({ url, protocols });
    }
  }
  return { dialed, options: { WebSocket: Spy as SocketConstructor } };
}

test("a token about to end is replaced in place, and the connection lives on", async () => {
  const reasons: string[] = [];
  await using client = connect(worker, {
    getToken: ({ reason }) => {
      reasons.push(reason);
      return reasons.length === 1 ? shortLived(8, "refresher") : shortLived(600, "refresher");
    },
  });
  await client.ready();
  const before = client.state;
  await until("the refresh", () => reasons.length === 2);
  await sleep(8_500);
  assert.equal(client.state, before, "the same connection");
  assert.deepEqual(reasons, ["connect", "expiring"]);
});

test("a token that has ended is replaced by coming back", async () => {
  let isOver = false;
  const reasons: string[] = [];
  await using client = connect(worker, {
    getToken: ({ reason }) => {
      reasons.push(reason);
      if (reason === "expiring" && !isOver) throw new Error("the backend is down");
      return shortLived(isOver ? 600 : 7, "expired");
    },
  });
  const room = client.investigation("expired");
  const messages = collect(room);
  await room.ready;
  const codes: string[] = [];
  client.on("@state", (state) => {
    if (state.status !== "waiting") return;
    codes.push(state.reason.code);
    isOver = true;
  });
  await until("the end of the token", () => codes.length > 0);
  await publish(worker, "/investigations/expired", ...news(1));
  await until("what was missed", () => messages.length === 1);
  assert.deepEqual(codes, ["TOKEN_EXPIRED"]);
});

test("a refused token is replaced at once, and after three more it stops", async () => {
  let calls = 0;
  await using client = connect(worker, {
    getToken: () => {
      calls += 1;
      return calls < 3 ? "rubbish" : worker.token({ sub: "ana" });
    },
  });
  await client.ready();
  assert.equal(calls, 3);
  await using lost = connect(worker, { getToken: () => "rubbish" });
  await assert.rejects(lost.ready(), (error) => error instanceof RealtimeError && error.code === "INVALID_TOKEN");
  assert.equal(lost.state.status, "stopped");
});

test("the token goes by the subprotocol, and is in no URL, state or error", async () => {
  const { dialed, options } = spying();
  const token = worker.token({ sub: "ana", name: "secret" });
  const said: unknown[] = [];
  await using client = connect(worker, { ...options, getToken: () => token });
  client.on("@state", (state) => said.push(state));
  await client.ready();
  client.disconnect();
  assert.deepEqual(dialed[0]?.protocols, ["cidadao.v1", `bearer.${token}`]);
  assert.equal(dialed[0]?.url.includes(token), false);
  assert.equal(JSON.stringify(said).includes(token), false);
});

test("a token that fits no subprotocol stops it, without showing it", async () => {
  await using client = connect(worker, { getToken: () => "not a token, but a secret" });
  await assert.rejects(client.ready(), (error) => {
    assert.ok(error instanceof RealtimeError);
    assert.equal(error.code, "INVALID_ADDRESS");
    assert.equal(`${error.stack} ${JSON.stringify(error)}`.includes("secret"), false);
    return true;
  });
});

test("with tickets the URL holds one, and each opens one socket", async () => {
  const { dialed, options } = spying();
  await using client = connect(worker, { ...options, tickets: true });
  const room = client.investigation("tickets");
  const messages = collect(room);
  await room.ready;
  client.disconnect();
  await client.ready();
  await publish(worker, "/investigations/tickets", ...news(1));
  await until("it", () => messages.length === 1);
  const tickets = dialed.map(({ url }) => new URL(url).searchParams.get("ticket"));
  assert.equal(tickets.length, 2);
  assert.ok(tickets.every((ticket) => ticket) && tickets[0] !== tickets[1]);
  assert.deepEqual(dialed[0]?.protocols, ["cidadao.v1"]);
});

test("a ticket that is refused is a refusal of the socket", async () => {
  await using client = connect(worker, { tickets: true, getToken: () => "rubbish" });
  await assert.rejects(client.ready(), (error) => error instanceof RealtimeError && error.code === "INVALID_TOKEN");
});

test("nobody signed in: it stops, and says so", async () => {
  await using client = connect(worker, { getToken: () => null });
  await assert.rejects(client.ready(), (error) => error instanceof RealtimeError && error.code === "NO_TOKEN");
});

test("a room that the token does not open is refused, and the others are heard", async () => {
  const rooms = ["investigation:open", "investigation:also"];
  await using client = connect(worker, { getToken: () => worker.token({ sub: "bia", rooms }) });
  const [open, barred, also] = ["open", "barred", "also"].map((id) => client.investigation(id));
  await assert.rejects(barred?.ready as Promise<void>, (error) => (error as RealtimeError).code === "FORBIDDEN");
  await Promise.all([open?.ready, also?.ready]);
  assert.equal(barred?.status, "refused");
  await assert.rejects(async () => {
    for await (const _ of barred ?? []) assert.fail("nothing is heard there");
  });
});

test("a service that ends the connection is obeyed", async () => {
  await using client = connect(worker, { getToken: () => worker.token({ sub: "barred" }) });
  await client.ready();
  const stopped = new Promise<string>((resolve) => {
    client.on("@state", (state) => state.status === "stopped" && resolve(state.reason.code));
  });
  const headers = { authorization: `Bearer ${worker.token({ role: "service" })}` };
  await fetch(worker.url("/api/v1/ws/users/barred/disconnect"), { method: "POST", headers });
  assert.equal(await stopped, "DISCONNECTED");
});

test("where there is no global WebSocket that of `ws` does", async () => {
  await using client = connect(worker, { WebSocket: NodeWebSocket as unknown as SocketConstructor });
  const room = client.investigation("ws");
  const messages = collect(room);
  await room.ready;
  await publish(worker, "/investigations/ws", ...news(1));
  await until("it", () => messages.length === 1);
});

test("and without any it stops, and says what to do", async () => {
  const real = globalThis.WebSocket;
  // @ts-expect-error: as on Node 20
  globalThis.WebSocket = undefined;
  try {
    await using client = connect(worker);
    await assert.rejects(client.ready(), (error) => (error as RealtimeError).code === "NO_WEBSOCKET");
  } finally {
    globalThis.WebSocket = real;
  }
});
