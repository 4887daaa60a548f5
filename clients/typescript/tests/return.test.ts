import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, EPOCH, only, ROOM, sent } from "./support/driver.ts";

const waiting = (driver: Driver) => {
  const { state } = driver.machine;
  assert.equal(state.status, "waiting");
  return state.status === "waiting" ? { ...state, wait: state.retryAt - driver.now } : assert.fail();
};

const lose = (driver: Driver, code = 1006, reason = "") => driver.feed({ type: "closed", code, reason });

function refuse(driver: Driver, code: string, close: number, rest: object = {}) {
  driver.frame("error", { code, message: `Because of ${code}.`, retry: false, ...rest });
  return lose(driver, close, code);
}

function dialing(): Driver {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: "t1" });
  return driver;
}

test("it comes back with its cursor and the token it has", () => {
  const driver = new Driver();
  driver.open({ seq: 4 });
  driver.message(ROOM, 5);
  lose(driver);
  const [dial] = only("dial", driver.pass(1_000));
  assert.deepEqual(dial, { type: "dial", token: "t1", query: { epoch: EPOCH, since: "5" } });
});

test("the first wait is spread over the window that the server advertised, also beyond the cap", () => {
  for (const [random, ms] of [
    [0.001, 65],
    [0.25, 16_250],
    [0.999, 64_935],
  ] as const) {
    const driver = new Driver({ random: () => random });
    driver.open({ reconnect_within_ms: 65_000 });
    driver.pass(11_000);
    lose(driver);
    assert.equal(waiting(driver).wait, ms);
  }
});

test("each failure doubles the bound, up to the cap, before the chance is applied", () => {
  const driver = new Driver({ random: () => 0.5, maxDelayMs: 10_000 });
  driver.open();
  const waits: number[] = [];
  for (let failures = 0; failures < 6; failures += 1) {
    lose(driver);
    waits.push(waiting(driver).wait);
    driver.pass(waits.at(-1) as number);
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
});

test("only a connection that lasts ten seconds begins anew", () => {
  const driver = new Driver();
  driver.open();
  driver.comeBack();
  driver.pass(9_999);
  driver.lose();
  assert.equal(driver.machine.state.status === "connecting" && driver.machine.state.attempt, 2);
  driver.welcome();
  driver.pass(10_000);
  lose(driver);
  assert.equal(waiting(driver).attempt, 1);
});

test("a page that nobody sees comes back later, and at once when it is seen", () => {
  const driver = new Driver();
  driver.open();
  driver.pass(10_000);
  driver.feed({ type: "visibility", isHidden: true });
  lose(driver);
  assert.equal(waiting(driver).wait, 1_000);
  const seen = driver.feed({ type: "visibility", isHidden: false });
  assert.equal(only("dial", [...seen, ...driver.pass(0)]).length, 1);
});

test("when the network is back it dials at once, but not more than once a second", () => {
  const driver = new Driver({ random: () => 1 });
  driver.open();
  driver.pass(15_000);
  driver.feed({ type: "offline" });
  lose(driver);
  assert.equal(waiting(driver).wait, 2_000);
  assert.equal(only("dial", driver.feed({ type: "wake" })).length, 1);
  lose(driver);
  assert.deepEqual(only("dial", driver.feed({ type: "wake" })), []);
  assert.equal(waiting(driver).wait, 1_000);
  assert.equal(only("dial", driver.pass(1_000)).length, 1);
});

test("what wakes it dials no sooner than the server allows", () => {
  const driver = dialing();
  refuse(driver, "RATE_LIMIT", 1008, { retry: true, retry_after_ms: 5_000 });
  driver.feed({ type: "wake" });
  assert.equal(waiting(driver).wait, 5_000);
});

test("codes for good end it, and say why", () => {
  for (const code of ["BARRED", "FORBIDDEN", "NOT_FOUND", "ORIGIN_NOT_ALLOWED", "UPGRADE_REQUIRED"]) {
    const driver = dialing();
    refuse(driver, code, 1008);
    const { state } = driver.machine;
    assert.equal(state.status, "stopped");
    if (state.status !== "stopped") continue;
    assert.equal(state.reason.code, code);
    assert.equal(state.reason.message, `Because of ${code}.`);
    assert.deepEqual(driver.pass(600_000), []);
  }
});

test("a service that ends the connection is obeyed, with an error before it or without", () => {
  for (const code of ["DISCONNECTED", "SESSION_DELETED"]) {
    const driver = new Driver();
    driver.open();
    driver.frame("error", { code, message: "No.", retry: false });
    assert.equal(driver.status, "stopped", "at once: the close may come much later");
    const silent = new Driver();
    silent.open();
    lose(silent, 4003);
    assert.equal(silent.status, "stopped");
  }
});

test("everything else comes back: the network, a deploy, a full room, a fault, even a normal end", () => {
  const ends = [
    [1006, ""],
    [1005, ""],
    [1000, ""],
    [1001, ""],
    [1011, "INTERNAL"],
    [1012, ""],
    [1013, "ROOM_FULL"],
    [4008, "TIMEOUT"],
  ] as const;
  for (const [code, reason] of ends) {
    const driver = new Driver();
    driver.open();
    lose(driver, code, reason);
    assert.equal(waiting(driver).reason.code, reason || "CONNECTION_LOST");
    assert.equal(waiting(driver).reason.retry, true);
  }
  for (const code of ["ROOM_FULL", "TOO_MANY_CONNECTIONS", "INTERNAL"]) {
    const driver = dialing();
    refuse(driver, code, 1013, { retry: true });
    assert.equal(waiting(driver).reason.code, code);
  }
});

test("an error explains the end that follows it, also if a network swallows the reason", () => {
  const driver = dialing();
  const effects = driver.frame("error", { code: "FORBIDDEN", message: "No.", retry: false });
  assert.equal(only("hangup", effects).length, 1);
  assert.equal(driver.status, "stopped");
  const silent = new Driver();
  silent.open();
  silent.frame("error", { code: "FORBIDDEN", message: "No.", retry: false });
  lose(silent, 1008);
  const { state } = silent.machine;
  assert.deepEqual(state.status === "stopped" && [state.reason.code, state.reason.closeCode], ["FORBIDDEN", 1008]);
});

test("an error about something else does not explain an end that comes later", () => {
  const driver = new Driver();
  driver.open();
  driver.frame("error", { code: "INVALID_JSON", message: "No.", retry: false });
  lose(driver, 1006);
  assert.equal(waiting(driver).reason.code, "CONNECTION_LOST");
});

test("a cursor that the server does not understand is forgotten, and that is a loss", () => {
  const driver = new Driver();
  const own = { room: ROOM, epoch: "rubbish", seq: 3 };
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: "t1", own });
  refuse(driver, "INVALID_CURSOR", 1008);
  const [dial] = only("dial", driver.pass(1_000));
  assert.deepEqual(dial?.query, {});
  const [reset] = only("reset", driver.welcome({ seq: 9 }));
  assert.deepEqual(reset, { type: "reset", room: ROOM, cursor: { epoch: EPOCH, seq: 9 } });
});

test("a refusal before there is a socket counts as one of the socket", () => {
  const driver = dialing();
  driver.feed({ type: "refused", refusal: { code: "FORBIDDEN", message: "No.", retry: false } });
  assert.equal(driver.status, "stopped");
});

test("it pings every 25 seconds, with exactly these bytes", () => {
  const driver = new Driver();
  driver.open();
  assert.deepEqual(only("transmit", driver.pass(24_999)), []);
  assert.deepEqual(only("transmit", driver.pass(1)), [{ type: "transmit", data: '{"type":"ping"}' }]);
  driver.frame("pong", {});
  assert.equal(sent(driver.pass(25_000)).length, 1);
});

test("without a sign for 10 seconds after a ping it is dead; any frame is a sign", () => {
  const driver = new Driver();
  driver.open();
  driver.pass(25_000);
  driver.message(ROOM, 1);
  assert.deepEqual(only("hangup", driver.pass(24_999)), []);
  driver.pass(1);
  assert.deepEqual(only("hangup", driver.pass(9_999)), []);
  assert.equal(only("hangup", driver.pass(1)).length, 1);
  assert.equal(waiting(driver).reason.code, "CONNECTION_LOST");
});

test("behind bytes of a file a pong may take 30 seconds, until something comes back", () => {
  const driver = new Driver();
  driver.open();
  driver.feed({ type: "bytes", bytes: new Uint8Array(9) });
  driver.pass(25_000);
  const late = driver.pass(29_999);
  assert.deepEqual([sent(late), only("hangup", late)], [[{ type: "ping" }], []], "it goes on pinging");
  assert.equal(only("hangup", driver.pass(1)).length, 1, "a ping that follows gives no more time");
  const heard = new Driver();
  heard.open();
  heard.feed({ type: "bytes", bytes: new Uint8Array(9) });
  heard.frame("upload_progress", { file_id: "f", offset: 9 });
  heard.pass(25_000);
  assert.equal(only("hangup", heard.pass(10_000)).length, 1);
});

test("what the time of day is changes nothing, whoever sets it", () => {
  const driver = new Driver();
  driver.open();
  driver.skew = -3_600_000;
  assert.equal(sent(driver.pass(25_000)).length, 1, "it pings");
  assert.equal(only("hangup", driver.pass(10_000)).length, 1);
  const { retryAt } = waiting(driver);
  assert.ok(retryAt >= driver.wall && retryAt <= driver.wall + 30_000, "a program is told the time of day");
  assert.ok(driver.pass(30_000).some(({ type }) => type === "dial"));
});

test("a clock that stands still during sleep is seen through by the time of day", () => {
  const driver = new Driver();
  driver.open();
  driver.pass(1_000);
  driver.skew += 3_600_000;
  assert.deepEqual(sent(driver.pass(10_000)), [{ type: "ping" }]);
  driver.pass(10_000);
  assert.deepEqual(waiting(driver).reason.code, "CONNECTION_LOST");
});

test("it looks at once when the network changes, the page is seen, or it was asleep", () => {
  for (const input of [{ type: "wake" }, { type: "offline" }, { type: "visibility", isHidden: false }] as const) {
    const driver = new Driver();
    driver.open();
    driver.pass(3_000);
    assert.deepEqual(sent(driver.feed(input)), [{ type: "ping" }]);
    assert.deepEqual(sent(driver.feed(input)), [], "while one is under way");
  }
});

test("a timer that comes late tells that it was asleep, long before the next ping is due", () => {
  const driver = new Driver();
  driver.open();
  driver.pass(1_000);
  assert.equal(driver.machine.deadline, driver.now + 10_000, "looked at every ten seconds");
  driver.now += 16_001;
  assert.deepEqual(sent(driver.feed({ type: "tick" })), [{ type: "ping" }]);
  const waits = new Driver({ random: () => 1, maxDelayMs: 60_000 });
  waits.open({ reconnect_within_ms: 60_000 });
  waits.feed({ type: "closed", code: 1006, reason: "" });
  waits.now += 16_001;
  assert.equal(only("dial", waits.feed({ type: "tick" })).length, 1);
});
