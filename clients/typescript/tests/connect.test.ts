import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, EPOCH, only, ROOM, sent, types } from "./support/driver.ts";

const reasonOf = (driver: Driver) => {
  const { state } = driver.machine;
  return state.status === "stopped" || state.status === "waiting" ? state.reason : undefined;
};

test("it asks for a token, dials with it, and is connected with the welcome", () => {
  const driver = new Driver({ query: { device: "phone" } });
  assert.deepEqual(only("token", driver.feed({ type: "connect" })), [{ type: "token", reason: "connect" }]);
  assert.equal(driver.status, "connecting");
  const dialed = driver.feed({ type: "token", token: "t1" });
  assert.deepEqual(dialed, [{ type: "dial", token: "t1", query: { device: "phone" } }]);
  driver.welcome();
  assert.deepEqual(driver.machine.state, { status: "connected", connectionId: "c1", room: ROOM });
});

test("connecting twice is connecting once", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  assert.deepEqual(driver.feed({ type: "connect" }), []);
  driver.feed({ type: "token", token: "t1" });
  assert.deepEqual(driver.feed({ type: "connect" }), []);
  assert.deepEqual(driver.feed({ type: "token", token: "t2" }), [], "a token that comes late changes nothing");
});

test("a stored cursor is where the first connection goes on from", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  const own = { room: ROOM, epoch: EPOCH, seq: 7 };
  const [dial] = only("dial", driver.feed({ type: "token", token: "t1", own }));
  assert.deepEqual(dial?.query, { epoch: EPOCH, since: "7" });
  assert.deepEqual(only("reset", driver.welcome({ seq: 7, recovered: true })), []);
  driver.feed({ type: "token", token: "t2", own: { ...own, seq: 3 } });
  assert.deepEqual(driver.machine.cursor(), { epoch: EPOCH, seq: 7 }, "what is here counts more than what was stored");
});

test("a stored cursor of another user's room is no loss", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: "t1", own: { room: "user:bia", epoch: EPOCH, seq: 7 } });
  assert.deepEqual(only("reset", driver.welcome({ seq: 2 })), []);
  assert.deepEqual(driver.machine.cursor(), { epoch: EPOCH, seq: 2 });
});

test("without a token it stops, and asks again when it is told to connect", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: null });
  assert.equal(driver.status, "stopped");
  assert.equal(reasonOf(driver)?.code, "NO_TOKEN");
  assert.deepEqual(only("token", driver.feed({ type: "connect" })), [{ type: "token", reason: "connect" }]);
});

test("a token that cannot be had is asked for again, later", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token-failed" });
  assert.equal(reasonOf(driver)?.code, "TOKEN_UNAVAILABLE");
  assert.equal(driver.status, "waiting");
  assert.deepEqual(only("token", driver.pass(1_000)), [{ type: "token", reason: "connect" }]);
  driver.feed({ type: "disconnect" });
  assert.deepEqual(driver.feed({ type: "token-failed" }), [], "nobody waits for it any more");
});

test("neither a token nor a welcome may take for ever", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.pass(20_000);
  assert.equal(reasonOf(driver)?.code, "CONNECT_TIMEOUT");
  driver.pass(500);
  driver.feed({ type: "token", token: "t1" });
  const late = driver.pass(20_000);
  assert.deepEqual(only("hangup", late), [{ type: "hangup" }]);
  assert.equal(driver.status, "waiting");
});

test("it leaves when it is told to, with what it has to say, and stays away", () => {
  const driver = new Driver({ acks: true });
  assert.deepEqual(driver.feed({ type: "disconnect" }), []);
  driver.open();
  driver.message(ROOM, 1);
  const effects = driver.feed({ type: "disconnect" });
  assert.deepEqual(sent(effects), [{ type: "ack", data: { seq: 1 } }]);
  assert.deepEqual(types(effects), ["transmit", "save", "hangup", "state"]);
  assert.equal(driver.status, "idle");
  assert.deepEqual(driver.pass(600_000), []);
  assert.deepEqual(driver.feed({ type: "closed", code: 1006, reason: "" }), []);
  assert.deepEqual(driver.message(ROOM, 2), []);
});

test("it leaves also while it is still on the way", () => {
  for (const inputs of [0, 1]) {
    const driver = new Driver();
    driver.feed({ type: "connect" });
    if (inputs > 0) driver.feed({ type: "token", token: "t1" });
    assert.equal(only("hangup", driver.feed({ type: "disconnect" })).length, inputs);
    assert.deepEqual(driver.feed({ type: "token", token: "t2" }), []);
  }
});

test("frames before the connection and without a meaning do nothing", () => {
  const driver = new Driver();
  assert.deepEqual(driver.welcome(), []);
  driver.open();
  assert.deepEqual(driver.welcome(), [], "a second welcome");
  for (const text of ["", "[]", "null", "7", '{"type":7}', '{"no":"type"}', '{"type":"batch","messages":7}']) {
    assert.deepEqual(only("message", driver.feed({ type: "frame", text })), []);
  }
  assert.deepEqual(driver.frame("subscribed", { room: "investigation:1" }), [], "without a place");
  assert.deepEqual(driver.frame("ack", { id: "x" }), [], "without a seq");
  assert.equal(driver.status, "connected");
});

test("frames of types yet unknown are passed on", () => {
  const driver = new Driver();
  driver.open();
  const [effect] = driver.frame("weather", { wind: 3 });
  assert.deepEqual(effect, { type: "control", frame: { type: "weather", data: { wind: 3 } } });
  for (const type of ["pong", "heartbeat"]) assert.deepEqual(driver.frame(type, {}), []);
});

test("a welcome without a place is none", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: "t1" });
  assert.deepEqual(driver.welcome({ seq: "0" }), []);
  assert.deepEqual(driver.welcome({ room: 7 }), []);
  assert.equal(driver.status, "connecting");
});

test("what else the welcome says is handed on", () => {
  const presence = { count: 1, users: [{ user_id: "ana" }] };
  const [effect] = only("control", new Driver().open({ presence, title: "Merenda" }));
  assert.equal(effect?.frame.type, "connection");
  assert.deepEqual([effect?.frame.data.presence, effect?.frame.data.title], [presence, "Merenda"]);
});
