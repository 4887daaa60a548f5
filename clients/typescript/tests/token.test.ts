import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, only, sent } from "./support/driver.ts";

test("a refused token is replaced, three times; then it stops and says why", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: "t0" });
  for (let tries = 1; tries <= 3; tries += 1) {
    driver.frame("error", { code: "INVALID_TOKEN", message: "No.", retry: false });
    assert.deepEqual(only("token", driver.lose(1008, "INVALID_TOKEN")), [{ type: "token", reason: "refused" }]);
    driver.feed({ type: "token", token: `t${tries}` });
  }
  driver.lose(1008, "INVALID_TOKEN");
  const { state } = driver.machine;
  assert.equal(state.status === "stopped" && state.reason.code, "INVALID_TOKEN");
});

test("tries are counted anew after a welcome", () => {
  const driver = new Driver();
  driver.open();
  for (let tries = 1; tries <= 6; tries += 1) {
    assert.deepEqual(only("token", driver.lose(4001, "TOKEN_EXPIRED")), [{ type: "token", reason: "expiring" }]);
    driver.feed({ type: "token", token: `t${tries}` });
    driver.welcome();
  }
  assert.equal(driver.status, "connected");
});

test("4001 and a bare 1008 mean the token", () => {
  for (const [code, reason] of [
    [4001, "TOKEN_EXPIRED"],
    [4001, ""],
    [1008, ""],
  ] as const) {
    const driver = new Driver();
    driver.open();
    driver.feed({ type: "closed", code, reason });
    assert.equal(only("token", driver.pass(1_000)).length, 1, `${code} ${reason}`);
  }
});

test("whether a token has ended, the time of day says", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: "t1", expiresAt: driver.wall + 60_000 });
  driver.welcome();
  driver.pass(20_000);
  driver.skew = -3_600_000;
  driver.live(60_000);
  assert.equal(only("dial", driver.lose()).length, 1, "an hour is left");
  driver.welcome();
  driver.skew = 3_600_000;
  assert.equal(only("token", driver.lose()).length, 1);
});

test("a token that is known to have ended is not tried", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: "t1", expiresAt: driver.now + 60_000 });
  driver.welcome();
  driver.feed({ type: "closed", code: 1006, reason: "" });
  assert.equal(only("dial", driver.pass(1_000)).length, 1);
  driver.welcome();
  driver.live(54_500);
  driver.feed({ type: "closed", code: 1006, reason: "" });
  assert.deepEqual(only("token", driver.pass(2_000)), [{ type: "token", reason: "expiring" }]);
});

test("a token about to end is replaced in place", () => {
  const driver = new Driver();
  driver.open();
  assert.deepEqual(only("token", driver.frame("token_expiring", { expires_in_ms: 30_000 })), [
    { type: "token", reason: "expiring" },
  ]);
  assert.deepEqual(sent(driver.feed({ type: "token", token: "t2" })), [{ type: "refresh", data: { token: "t2" } }]);
  driver.frame("refreshed", {});
  assert.equal(driver.status, "connected");
  driver.feed({ type: "closed", code: 1006, reason: "" });
  assert.equal(only("dial", driver.pass(1_000))[0]?.token, "t2");
});

test("the same token again, none, or a failure is asked about again, a few times", () => {
  for (const answer of [
    { type: "token", token: "t1" },
    { type: "token", token: null },
    { type: "token-failed" },
  ] as const) {
    const driver = new Driver();
    driver.open();
    driver.frame("token_expiring", {});
    for (let tries = 0; tries < 3; tries += 1) {
      assert.deepEqual(sent(driver.feed(answer)), []);
      assert.equal(only("token", driver.pass(5_000)).length, 1);
    }
    driver.feed(answer);
    driver.frame("pong", {});
    assert.deepEqual(only("token", driver.pass(9_000)), []);
    assert.equal(driver.status, "connected");
  }
});

test("a refresh that is refused is tried with another token", () => {
  const driver = new Driver();
  driver.open();
  driver.frame("token_expiring", {});
  driver.feed({ type: "token", token: "t2" });
  driver.frame("error", { code: "INVALID_TOKEN", message: "No.", retry: false, original_type: "refresh" });
  assert.equal(only("token", driver.pass(5_000)).length, 1);
  assert.equal(sent(driver.feed({ type: "token", token: "t3" })).length, 1);
});

test("a refresh that is under way ends with its connection", () => {
  const driver = new Driver();
  driver.open();
  driver.frame("token_expiring", {});
  driver.feed({ type: "closed", code: 1006, reason: "" });
  driver.pass(1_000);
  assert.deepEqual(driver.feed({ type: "token", token: "t2" }), []);
  driver.welcome();
  assert.equal(driver.status, "connected");
});
