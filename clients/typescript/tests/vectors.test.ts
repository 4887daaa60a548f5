// The frames that the server is known to send, and what it is known to take.

import assert from "node:assert/strict";
import { test } from "node:test";
import { confirm, frame, isId, isMessage, PING, parse, refusalOf, subscribe, unsubscribe } from "../src/protocol.ts";
import { verdict } from "../src/verdict.ts";
import { Driver, only, ROOM, types } from "./support/driver.ts";
import { vectors } from "./support/vectors.ts";

interface Case {
  name: string;
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: data of many shapes
  data: any;
  bytes: string;
}

const server = vectors("server-frames");
const feed = (driver: Driver, { bytes }: Case) => driver.feed({ type: "frame", text: bytes });

/** A machine that waits for the welcome. */
function dialing(): Driver {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: "t1" });
  return driver;
}

/** What each type of frame has to bring about. */
const UNDERSTOOD: Record<string, (frame: Case) => void> = {
  connection: welcomes,
  connection_established: welcomes,
  pong: isALifeSign,
  heartbeat: isALifeSign,
  subscribed: (each) => {
    const driver = new Driver();
    driver.open();
    const { room, epoch, seq, recovered } = each.data;
    const ask = () => driver.feed({ type: "subscribe", room, cursor: { epoch, seq: 37 } });
    if (room !== "system:all") ask();
    else driver.message(room, 3);
    const resets = only("reset", feed(driver, each));
    const lost = recovered === false || seq > 37;
    assert.deepEqual(resets, lost ? [{ type: "reset", room, cursor: { epoch, seq } }] : []);
  },
  unsubscribed: (each) => {
    const driver = new Driver();
    driver.feed({ type: "subscribe", room: each.data.room });
    driver.open();
    assert.equal(only("room", feed(driver, each))[0]?.status, "refused");
  },
  refreshed: (each) => {
    const driver = new Driver();
    driver.open();
    assert.deepEqual(feed(driver, each), []);
  },
  token_expiring: (each) => {
    const driver = new Driver();
    driver.open();
    assert.deepEqual(feed(driver, each), [{ type: "token", reason: "expiring" }]);
  },
  error: (each) => {
    const { code, retry, original_type } = each.data;
    assert.deepEqual(refusalOf(each.data), { retry_after_ms: undefined, ...each.data });
    const driver = dialing();
    feed(driver, each);
    driver.feed({ type: "closed", code: 1006, reason: "" });
    const comesBack = retry || ["INVALID_TOKEN", "TOKEN_EXPIRED", "INVALID_CURSOR"].includes(code);
    assert.equal(driver.status, comesBack ? "waiting" : "stopped", original_type);
  },
};

function welcomes(each: Case): void {
  const driver = dialing();
  const { room, epoch, seq, recovered } = each.data;
  const effects = feed(driver, each);
  assert.equal(driver.status, "connected");
  assert.deepEqual(driver.machine.cursor(), { epoch, seq });
  assert.deepEqual(
    only("reset", effects),
    recovered === false ? [{ type: "reset", room, cursor: { epoch, seq } }] : [],
  );
}

function isALifeSign(each: Case): void {
  const driver = new Driver();
  driver.open();
  driver.pass(30_000);
  assert.deepEqual(feed(driver, each), []);
  driver.pass(9_000);
  assert.equal(driver.status, "connected");
}

for (const each of server.frames as Case[]) {
  test(`the server's frame is understood: ${each.name}`, () => {
    const [frame] = parse(each.bytes);
    assert.equal(frame?.type, each.type);
    assert.deepEqual(frame?.data, each.data);
    const understood = UNDERSTOOD[each.type];
    assert.ok(understood, `${each.type} is not understood`);
    understood(each);
  });
}

test("the short pong is a sign of life, and the ping has the bytes that it answers", () => {
  assert.equal(PING, server.pong.ping);
  isALifeSign({ name: "", type: "pong", data: {}, bytes: server.pong.bytes });
});

for (const { name, bytes, room, id, seq } of server.messages) {
  test(`what was published comes out: ${name}`, () => {
    const driver = new Driver();
    driver.open();
    if (room.startsWith("investigation:") || room.startsWith("analysis:")) {
      driver.feed({ type: "subscribe", room });
      driver.subscribed(room, 0);
    } else if (room !== ROOM && room !== "system:all") {
      driver.feed({ type: "disconnect" });
      driver.feed({ type: "connect" });
      driver.welcome({ room });
    }
    const [effect] = only("message", driver.feed({ type: "frame", text: bytes }));
    assert.deepEqual(effect?.message, JSON.parse(bytes));
    assert.deepEqual([effect?.message.room, effect?.message.id, effect?.message.seq], [room, id, seq]);
  });
}

for (const { name, messages, bytes } of server.batches) {
  test(`a batch is its messages: ${name}`, () => {
    assert.deepEqual(
      parse(bytes),
      messages.map((text: string) => JSON.parse(text)),
    );
    assert.ok(parse(bytes).every(isMessage));
  });
}

for (const { name, code, bytes } of server.http) {
  test(`a refusal over HTTP is read: ${name}`, () => {
    assert.equal(refusalOf(JSON.parse(bytes).error).code, code);
  });
}

test("every code has a verdict that agrees with what the protocol advises", () => {
  const others: Record<string, string> = { INVALID_TOKEN: "token", TOKEN_EXPIRED: "token", INVALID_CURSOR: "cursor" };
  for (const { code, close, retry } of vectors("codes").codes) {
    assert.equal(verdict(close, code), others[code] ?? (retry ? "retry" : "stop"), code);
  }
});

test("ids are those that the server takes", () => {
  for (const { id, valid } of vectors("ids").ids) assert.equal(isId(id), valid, JSON.stringify(id));
  assert.equal(isId(7), false);
});

test("what this client sends is among what the server accepts", () => {
  const cases = vectors("client-frames").cases as { frame: string; accepted?: unknown }[];
  const accepted = new Set(cases.filter((each) => each.accepted).map((each) => each.frame));
  const cursor = { epoch: "5f0c3a9be1d27748", seq: 37 };
  const frames = [
    PING,
    subscribe("investigation:inv-123"),
    subscribe("investigation:inv-123", cursor),
    unsubscribe("analysis:ana-7"),
    confirm(41),
    confirm(41, "investigation:inv-123"),
    frame("refresh", { token: "eyJhbGciOiJIUzI1NiJ9.e30.c2ln" }),
  ];
  for (const each of frames) assert.ok(accepted.has(each), `not among the vectors: ${each}`);
});

test("a published message of the type of a control frame is a message all the same", () => {
  const driver = new Driver();
  driver.open();
  assert.deepEqual(types(driver.message(ROOM, 1, { type: "error" })), ["message"]);
});
