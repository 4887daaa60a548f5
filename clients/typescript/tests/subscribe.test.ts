import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, EPOCH, OTHER_EPOCH, only, sent, seqs } from "./support/driver.ts";

const INV = "investigation:1";
const ANA = "analysis:7";

const ask = (field: string, id: string, place: object = {}) => ({ type: "subscribe", data: { [field]: id, ...place } });
const refuse = (driver: Driver, code: string, room = INV, rest: object = {}) =>
  driver.frame("error", { code, message: "No.", retry: false, original_type: "subscribe", room, ...rest });
const status = (effects: ReturnType<Driver["feed"]>) =>
  only("room", effects).map(({ room, status, error }) => [room, status, error?.code]);

function opened(...rooms: string[]): Driver {
  const driver = new Driver();
  driver.open();
  for (const room of rooms) driver.feed({ type: "subscribe", room });
  return driver;
}

test("rooms that were wanted without a connection are asked for with the welcome", () => {
  const driver = new Driver();
  assert.deepEqual(driver.feed({ type: "subscribe", room: INV }), []);
  driver.feed({ type: "subscribe", room: ANA, cursor: { epoch: EPOCH, seq: 5 } });
  assert.deepEqual(sent(driver.open()), [
    ask("investigation_id", "1"),
    ask("analysis_id", "7", { epoch: EPOCH, since: 5 }),
  ]);
  assert.deepEqual(status(driver.subscribed(INV, 3)), [[INV, "live", undefined]]);
});

test("after a break every room goes on from its cursor", () => {
  const driver = opened(INV, ANA);
  driver.subscribed(INV, 3);
  driver.subscribed(ANA, 8);
  driver.message(INV, 4);
  const lost = driver.feed({ type: "closed", code: 1006, reason: "" });
  assert.deepEqual(status(lost), [
    [INV, "pending", undefined],
    [ANA, "pending", undefined],
  ]);
  driver.pass(1_000);
  assert.deepEqual(sent(driver.welcome()), [
    ask("investigation_id", "1", { epoch: EPOCH, since: 4 }),
    ask("analysis_id", "7", { epoch: EPOCH, since: 8 }),
  ]);
});

test("a room that nobody asked for is not heard", () => {
  const driver = opened();
  assert.deepEqual(driver.message(INV, 1), []);
  driver.feed({ type: "subscribe", room: INV });
  assert.deepEqual(seqs(driver.message(INV, 1)), [], "before the answer");
});

test("a room that is let go ends a moment later, and not at all if it is taken again", () => {
  const driver = opened(INV);
  driver.subscribed(INV, 3);
  driver.feed({ type: "unsubscribe", room: INV });
  assert.deepEqual(sent(driver.pass(999)), []);
  assert.deepEqual(status(driver.feed({ type: "subscribe", room: INV })), [[INV, "live", undefined]]);
  assert.deepEqual(sent(driver.pass(10_000)), []);
  driver.feed({ type: "unsubscribe", room: INV });
  assert.deepEqual(sent(driver.pass(1_000)), [{ type: "unsubscribe", data: { investigation_id: "1" } }]);
  driver.feed({ type: "unsubscribe", room: INV });
  assert.deepEqual(driver.pass(2_000), []);
});

test("a subscription that ends does not speak for the next one", () => {
  const driver = opened(INV);
  driver.subscribed(INV, 3);
  driver.feed({ type: "unsubscribe", room: INV });
  driver.pass(1_000);
  assert.deepEqual(sent(driver.feed({ type: "subscribe", room: INV })), [ask("investigation_id", "1")]);
  assert.deepEqual(driver.message(INV, 4), [], "of the one that ends");
  assert.deepEqual(driver.frame("unsubscribed", { room: INV }), []);
  assert.deepEqual(only("reset", driver.subscribed(INV, 9)), []);
  assert.deepEqual(seqs([...driver.message(INV, 9), ...driver.message(INV, 10)]), [10]);
});

test("two that end are both waited for", () => {
  const driver = opened(INV);
  for (let times = 0; times < 2; times += 1) {
    driver.feed({ type: "unsubscribe", room: INV });
    driver.pass(1_000);
    driver.feed({ type: "subscribe", room: INV });
  }
  driver.frame("unsubscribed", { room: INV });
  assert.deepEqual(driver.frame("unsubscribed", { room: INV }), []);
  assert.deepEqual(status(driver.subscribed(INV, 1)), [[INV, "live", undefined]]);
});

test("without a connection a room is let go without a word", () => {
  const driver = new Driver();
  driver.feed({ type: "subscribe", room: INV });
  driver.feed({ type: "unsubscribe", room: INV });
  driver.pass(1_000);
  assert.deepEqual(sent(driver.open()), []);
  assert.equal(driver.machine.cursor(INV), undefined);
});

test("a token that does not open the room any more ends it, and another may bring it back", () => {
  const driver = opened(INV);
  driver.subscribed(INV, 3);
  assert.deepEqual(status(driver.frame("unsubscribed", { room: INV })), [[INV, "refused", "FORBIDDEN"]]);
  assert.deepEqual(sent(driver.pass(20_000)), []);
  assert.deepEqual(sent(driver.frame("refreshed", {})), [ask("investigation_id", "1", { epoch: EPOCH, since: 3 })]);
});

test("one room that is refused knows it", () => {
  const driver = opened(INV);
  assert.deepEqual(status(refuse(driver, "FORBIDDEN")), [[INV, "refused", "FORBIDDEN"]]);
  assert.deepEqual(sent(driver.pass(20_000)), []);
});

test("of several the one is refused that the refusal names", () => {
  const driver = opened(INV, ANA);
  assert.deepEqual(status(refuse(driver, "TOO_MANY_SUBSCRIPTIONS", ANA)), [[ANA, "refused", "TOO_MANY_SUBSCRIPTIONS"]]);
  assert.deepEqual(status(driver.subscribed(INV, 1)), [[INV, "live", undefined]]);
  assert.deepEqual(sent(driver.pass(20_000)), []);
});

test("a room that did not answer is asked again, ever later", () => {
  const driver = opened(INV);
  for (const pause of [1_000, 2_000, 4_000]) {
    refuse(driver, "UNAVAILABLE", INV, { retry: true });
    assert.deepEqual(sent(driver.pass(pause - 1)), []);
    assert.equal(sent(driver.pass(1)).length, 1);
  }
  refuse(driver, "RATE_LIMIT", INV, { retry: true, retry_after_ms: 300 });
  assert.equal(sent(driver.pass(300)).length, 1);
});

test("an answer that does not come is not waited for", () => {
  const driver = opened(INV, ANA);
  driver.subscribed(ANA, 1);
  assert.deepEqual(sent(driver.pass(9_999)), []);
  assert.deepEqual(sent(driver.pass(1)), [ask("investigation_id", "1")]);
  assert.deepEqual(status(driver.subscribed(INV, 1)), [[INV, "live", undefined]]);
});

test("a refusal without a question is nobody's", () => {
  assert.deepEqual(refuse(opened(), "FORBIDDEN"), []);
  const driver = opened(ANA);
  assert.deepEqual(refuse(driver, "INVALID_FRAME", undefined, { room: undefined }), []);
});

test("who asks for an earlier place gets what came since, though another has the room already", () => {
  const driver = opened(INV);
  driver.subscribed(INV, 45);
  const again = driver.feed({ type: "subscribe", room: INV, cursor: { epoch: EPOCH, seq: 40 } });
  assert.deepEqual(sent(again), [ask("investigation_id", "1", { epoch: EPOCH, since: 40 })]);
  driver.subscribed(INV, 40, { recovered: true });
  assert.deepEqual(seqs(driver.message(INV, 41)), [41]);
  assert.deepEqual(sent(driver.feed({ type: "subscribe", room: INV, cursor: { epoch: EPOCH, seq: 50 } })), []);
  assert.equal(sent(driver.feed({ type: "subscribe", room: INV, cursor: { epoch: OTHER_EPOCH, seq: 50 } })).length, 1);
});

test("who names a place counts, even if another asked first and has no answer yet", () => {
  const driver = new Driver();
  driver.feed({ type: "subscribe", room: INV });
  driver.feed({ type: "subscribe", room: INV, cursor: { epoch: EPOCH, seq: 40 } });
  assert.deepEqual(sent(driver.open()), [ask("investigation_id", "1", { epoch: EPOCH, since: 40 })]);
});

test("a room that can be heard no more is asked for again, if that may help", () => {
  const driver = opened(INV);
  driver.subscribed(INV, 3);
  refuse(driver, "UNAVAILABLE", INV, { retry: true });
  assert.deepEqual(sent(driver.pass(1_000)), [ask("investigation_id", "1", { epoch: EPOCH, since: 3 })]);
  driver.subscribed(INV, 3);
  assert.deepEqual(status(refuse(driver, "FORBIDDEN")), [[INV, "refused", "FORBIDDEN"]]);
});

test("a room whose end was refused is heard when it is taken again", () => {
  const driver = opened(INV);
  driver.subscribed(INV, 3);
  driver.feed({ type: "unsubscribe", room: INV });
  driver.pass(1_000);
  driver.frame("error", { code: "RATE_LIMIT", message: "", retry: true, original_type: "unsubscribe", room: INV });
  driver.feed({ type: "subscribe", room: INV });
  driver.subscribed(INV, 3);
  assert.deepEqual(seqs(driver.message(INV, 4)), [4]);
});
