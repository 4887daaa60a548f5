// A token that ends while its connection is open, and one that takes its place.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, type Frame } from "./support/client.ts";
import { type Claims, mint } from "./support/token.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

/** How long tokens live whose end a test waits for: seconds enough to connect, and to say all there is to say before. */
const SOON = 8;
/** How long those live that are not to end, nor to be warned of it. */
const LONG = 600;

/** The second in which a token ends that lives for so many, or up to one less. */
const ending = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const iso = (second: number) => new Date(second * 1000).toISOString();

/** As browsers do, the client ends the transport itself when the server, done with it, does not. */
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` }, closeTimeout: 500 });

const open = (path: string, claims: Claims) =>
  Client.open(worker.url(`/api/v1/ws${path}`, "ws"), [], bearer(worker.token(claims)));

const refresh = (token: string) => ({ type: "refresh", data: { token } });
const subscribe = (id: string) => ({ type: "subscribe", data: { investigation_id: id } });

/** The next frame that is no warning: a room that slept may warn again. */
async function nextBesideWarnings(client: Client): Promise<Frame> {
  for (;;) {
    const frame = await client.next();
    if (frame.type !== "token_expiring") return frame;
  }
}

/** Waits for the connection to end, and asserts that it does so with its token, and no sooner. */
async function expires(client: Client, exp: number): Promise<void> {
  assert.deepEqual(await client.closed, { code: 4001, reason: "TOKEN_EXPIRED" });
  const { type, data, timestamp } = await nextBesideWarnings(client);
  assert.deepEqual([type, data.code, data.retry], ["error", "TOKEN_EXPIRED", false]);
  assert.ok(timestamp >= iso(exp), `${timestamp} is before ${iso(exp)}`);
}

/** Both kinds of rooms: the path, the user, and the name of the room. */
const PLACES = (test: string) =>
  [
    ["", `${test}-1`, `user:${test}-1`],
    [`/chat/${test}`, `${test}-2`, `chat:${test}`],
  ] as const;

describe("a token that ends", { concurrency: true }, () => {
  for (const [path, sub] of PLACES("end")) {
    test(`${path || "the general connection"} is warned, and closed when it does`, async () => {
      const exp = ending(SOON);
      using client = await open(path, { sub, exp });
      const { type, data } = await client.next();
      assert.deepEqual([type, data.expires_at], ["token_expiring", iso(exp)]);
      assert.ok(data.expires_in_ms > 0 && data.expires_in_ms <= 1000 * SOON, `${data.expires_in_ms}`);
      await expires(client, exp);
    });
  }

  for (const [path, sub, room] of PLACES("asleep")) {
    test(`ends ${path || "the general connection"} even if its room sleeps`, async () => {
      const exp = ending(SOON);
      using client = await open(path, { sub, exp });
      assert.equal((await client.next()).type, "token_expiring");
      await worker.evict(room);
      await expires(client, exp);
      using another = await open(path, { sub });
      assert.deepEqual(await another.drain(), []);
    });
  }

  test("ends the connections of that token alone, each at its time", async () => {
    const [soon, later, much] = [ending(SOON), ending(SOON + 1), ending(LONG)];
    using first = await open("/chat/each", { sub: "each", exp: soon });
    using second = await open("/chat/each", { sub: "each", exp: later });
    using third = await open("/chat/each", { sub: "each", exp: much });
    await expires(first, soon);
    await expires(second, later);
    assert.deepEqual(await third.drain(), []);
  });
});

describe("a token that is refreshed", { concurrency: true }, () => {
  for (const [path, sub, room] of PLACES("refresh")) {
    for (const sleeps of [false, true]) {
      const when = sleeps ? ", and its room's sleep right after" : "";
      test(`keeps ${path || "the general connection"} past the first one's end${when}`, async () => {
        const [exp, next] = [ending(SOON), ending(LONG)];
        const at = sleeps ? { path: path && `${path}-s`, sub: `${sub}-s`, room: `${room}-s` } : { path, sub, room };
        using client = await open(at.path, { sub: at.sub, exp });
        using other = await open(at.path, { sub: at.sub, exp });
        assert.equal((await client.next()).type, "token_expiring");
        const { type, data } = await client.ask(refresh(worker.token({ sub: at.sub, exp: next })));
        assert.deepEqual([type, data], ["refreshed", { expires_at: iso(next) }]);
        if (sleeps) await worker.evict(at.room);
        // It would end in the same moment as the one that was not refreshed.
        await expires(other, exp);
        assert.deepEqual(await client.drain(), []);
      });
    }
  }

  for (const [path, sub] of PLACES("short")) {
    test(`by one that ends soon ends ${path || "the general connection"} then`, async () => {
      using client = await open(path, { sub });
      const exp = ending(SOON);
      assert.equal((await client.ask(refresh(worker.token({ sub, exp })))).type, "refreshed");
      assert.equal((await client.next()).type, "token_expiring");
      await expires(client, exp);
    });
  }

  for (const [path, sub] of PLACES("bad")) {
    test(`by a bad one changes nothing on ${path || "the general connection"}`, async () => {
      const exp = ending(SOON);
      using client = await open(path, { sub, exp });
      assert.equal((await client.next()).type, "token_expiring");
      for (const [token, code] of [
        [worker.token({ sub: "another" }), "FORBIDDEN"],
        [worker.token({ sub, type: "refresh" }), "INVALID_TOKEN"],
        [worker.token({ sub, exp: ending(-1) }), "INVALID_TOKEN"],
        [worker.token({ sub, rooms: ["*"] }), "INVALID_TOKEN"],
        [mint({ sub }, "another secret of at least 32 bytes"), "INVALID_TOKEN"],
        ["garbage", "INVALID_TOKEN"],
      ] as const) {
        const { type, data } = await client.ask(refresh(token));
        assert.deepEqual([type, data.code, data.original_type], ["error", code, "refresh"]);
      }
      assert.equal((await client.ask({ type: "refresh", data: {} })).data.code, "INVALID_FRAME");
      await expires(client, exp);
    });
  }
});

describe("a token that opens less than the one before", { concurrency: true }, () => {
  for (const [path, sub, room] of PLACES("less")) {
    test(`takes its subscriptions from ${path || "the general connection"}, and leaves it the others`, async () => {
      using client = await open(path, { sub });
      const [lost, kept] = [`${sub}-lost`, `${sub}-kept`];
      for (const id of [lost, kept]) assert.equal((await client.ask(subscribe(id))).type, "subscribed");
      const rooms = [room, `investigation:${kept}`];
      assert.equal((await client.ask(refresh(worker.token({ sub, rooms })))).type, "refreshed");
      const { type, data } = await client.next();
      assert.deepEqual([type, data], ["unsubscribed", { investigation_id: lost, room: `investigation:${lost}` }]);
      await hearsOnly(client, kept, lost);
      await worker.evict(room);
      await hearsOnly(client, kept, lost);
    });
  }

  test("closes a direct connection whose room it does not open, and no general one", async () => {
    const token = worker.token({ sub: "shut", rooms: ["investigation:other"] });
    using direct = await open("/chat/shut", { sub: "shut" });
    assert.equal((await direct.ask(refresh(token))).data.code, "FORBIDDEN");
    assert.deepEqual(await direct.closed, { code: 1008, reason: "FORBIDDEN" });
    using general = await open("", { sub: "shut" });
    assert.equal((await general.ask(refresh(token))).type, "refreshed");
    assert.deepEqual(await general.drain(), []);
  });

  test("is made up for by one that opens more", async () => {
    using client = await open("", { sub: "more", rooms: ["chat:1"] });
    assert.equal((await client.ask(subscribe("more"))).data.code, "FORBIDDEN");
    assert.equal((await client.ask(refresh(worker.token({ sub: "more" })))).type, "refreshed");
    await worker.evict("user:more");
    assert.equal((await client.ask(subscribe("more"))).type, "subscribed");
  });
});

/** Asserts what is heard, and that the other is out of reach. */
async function hearsOnly(client: Client, kept: string, lost: string): Promise<void> {
  await worker.publish(`/investigations/${lost}`, { type: "no" });
  await worker.publish(`/investigations/${kept}`, { type: "yes" });
  assert.equal((await client.next()).room, `investigation:${kept}`);
  assert.equal((await client.ask(subscribe(lost))).data.code, "FORBIDDEN");
  assert.deepEqual(await client.drain(), []);
}
