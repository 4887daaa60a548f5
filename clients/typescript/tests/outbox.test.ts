import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, only, ROOM, sent, seqs } from "./support/driver.ts";

const say = (driver: Driver, id: string | undefined, text = `hello ${id}`) =>
  driver.feed({ type: "send", kind: "chat", id, frame: JSON.stringify({ type: "chat", id, data: { text } }) });
const ids = (effects: ReturnType<Driver["feed"]>) => sent(effects).map(({ id }) => id);
const ack = (driver: Driver, id: string, seq: number, rest: object = {}) =>
  driver.frame("ack", { id, seq, room: ROOM, ...rest });
const error = (driver: Driver, code: string, rest: object = {}) =>
  driver.frame("error", { code, message: "No.", retry: false, original_type: "chat", ...rest });
const failures = (effects: ReturnType<Driver["feed"]>) =>
  only("failed", effects).map(({ id, error }) => [id, error.code]);

test("what is sent offline goes out with the welcome, in its order", () => {
  const driver = new Driver();
  for (const id of ["a", "b", "c"]) assert.deepEqual(say(driver, id), []);
  assert.deepEqual(ids(driver.open()), ["a"]);
  assert.deepEqual(ids(ack(driver, "a", 1)), ["b"]);
  assert.deepEqual(ids(ack(driver, "b", 2)), ["c"]);
  assert.deepEqual(ids(ack(driver, "c", 3)), []);
});

test("it is sent again until it is confirmed, and never after that", () => {
  const driver = new Driver();
  driver.open();
  assert.deepEqual(ids(say(driver, "a")), ["a"]);
  assert.deepEqual(ids(say(driver, "b")), [], "one at a time");
  const confirmed = ack(driver, "a", 1);
  assert.deepEqual(confirmed[0], { type: "confirmed", id: "a", seq: 1, duplicate: false });
  assert.deepEqual(ids(confirmed), ["b"]);
  assert.deepEqual(ids(driver.comeBack()), ["b"]);
  assert.deepEqual(only("confirmed", ack(driver, "b", 2, { duplicate: true })), [
    { type: "confirmed", id: "b", seq: 2, duplicate: true },
  ]);
  assert.deepEqual(ids(driver.comeBack({ seq: 2 })), []);
  assert.deepEqual(only("confirmed", ack(driver, "b", 2)), []);
});

test("what the server cannot read fails, though it cannot say which", () => {
  for (const code of ["INVALID_JSON", "TOO_LARGE"]) {
    const driver = new Driver();
    driver.open();
    say(driver, "a");
    say(driver, "b");
    const effects = error(driver, code, { original_type: undefined });
    assert.deepEqual([failures(effects), ids(effects)], [[["a", code]], ["b"]]);
  }
  const driver = new Driver();
  driver.open();
  say(driver, "a");
  const other = error(driver, "UNKNOWN_TYPE", { original_type: undefined });
  assert.deepEqual([failures(other), only("control", other).length], [[], 1], "of what was said beside it");
});

test("where nothing comes any more, what has to arrive fails at once, until somebody connects", () => {
  const driver = new Driver();
  driver.feed({ type: "connect" });
  driver.feed({ type: "token", token: null });
  assert.deepEqual(failures(say(driver, "a")), [["a", "NO_TOKEN"]]);
  driver.feed({ type: "connect" });
  assert.deepEqual(say(driver, "a"), []);
  driver.feed({ type: "token", token: "t1" });
  assert.deepEqual(ids(driver.welcome()), ["a"]);
});

test("the same id is the same frame", () => {
  const driver = new Driver();
  say(driver, "a");
  say(driver, "a");
  assert.deepEqual(ids(driver.open()), ["a"]);
  assert.deepEqual(say(driver, "a"), []);
});

test("what was sent from here, and comes back out of the log, is confirmed by that and no message", () => {
  const driver = new Driver();
  driver.open();
  say(driver, "a");
  driver.comeBack({ seq: 0, recovered: true });
  const effects = driver.message(ROOM, 1, { id: "a", type: "chat" });
  assert.deepEqual(only("confirmed", effects), [{ type: "confirmed", id: "a", seq: 1, duplicate: false }]);
  assert.deepEqual(seqs(effects), []);
});

test("the place of a confirmed frame counts as had", () => {
  const driver = new Driver();
  driver.open();
  say(driver, "a");
  ack(driver, "a", 1);
  assert.deepEqual(seqs(driver.message(ROOM, 1)), []);
  assert.equal(driver.machine.cursor()?.seq, 1);
  ack(driver, "a", 1);
  assert.equal(driver.machine.cursor()?.seq, 1);
});

test("what gets no answer is sent again after a while, and nothing overtakes it", () => {
  const driver = new Driver();
  driver.open();
  say(driver, "a");
  say(driver, "b");
  driver.live(9_000);
  assert.deepEqual(ids(driver.pass(1_000)), ["a"]);
  assert.deepEqual(ids(ack(driver, "a", 1)), ["b"]);
});

test("a full outbox refuses what is new", () => {
  const driver = new Driver({ outbox: { maxFrames: 2 } });
  say(driver, "a");
  say(driver, "b");
  assert.deepEqual(failures(say(driver, "c")), [["c", "OUTBOX_FULL"]]);
  assert.deepEqual(ids([...driver.open(), ...ack(driver, "a", 1), ...ack(driver, "b", 2)]), ["a", "b"]);
});

test("or drops what is oldest, and says so", () => {
  const driver = new Driver({ outbox: { maxFrames: 2, whenFull: "drop-oldest" } });
  say(driver, "a");
  say(driver, "b");
  const effects = say(driver, "c");
  assert.deepEqual(only("dropped", effects), [{ type: "dropped", id: "a", kind: "chat" }]);
  assert.deepEqual(failures(effects), [["a", "OUTBOX_FULL"]]);
  assert.deepEqual(ids([...driver.open(), ...ack(driver, "b", 1)]), ["b", "c"]);
});

test("it is bounded by bytes too, those of UTF-8", () => {
  const driver = new Driver({ outbox: { maxBytes: 120, whenFull: "drop-oldest" } });
  say(driver, "a", "x".repeat(20));
  assert.deepEqual(failures(say(driver, "b", "ç".repeat(20))), [["a", "OUTBOX_FULL"]]);
  assert.deepEqual(failures(say(driver, "c", "x".repeat(200))), [
    ["b", "OUTBOX_FULL"],
    ["c", "OUTBOX_FULL"],
  ]);
});

test("a frame that no server takes is refused here", () => {
  const driver = new Driver();
  assert.deepEqual(failures(say(driver, "a", "x".repeat(1_048_576))), [["a", "TOO_LARGE"]]);
});

test("a refusal for good ends a frame: the one it names, or the one under way", () => {
  const driver = new Driver();
  driver.open();
  for (const id of ["a", "b"]) say(driver, id);
  const other = error(driver, "INVALID_FRAME", { original_type: "typing" });
  assert.deepEqual(only("control", other).length, 1, "is for somebody else");
  const named = error(driver, "ID_TAKEN", { original_id: "a" });
  assert.deepEqual(failures(named), [["a", "ID_TAKEN"]]);
  assert.deepEqual(ids(named), ["b"]);
  assert.deepEqual(failures(error(driver, "ID_TAKEN", { original_id: "c" })), []);
  assert.deepEqual(failures(error(driver, "INVALID_FRAME")), [["b", "INVALID_FRAME"]]);
  assert.deepEqual(ids(driver.comeBack()), []);
});

test("a refusal for now sends it again, after the time that it names or ever later", () => {
  const driver = new Driver();
  driver.open();
  say(driver, "a");
  error(driver, "RATE_LIMIT", { retry: true, retry_after_ms: 700 });
  assert.deepEqual(ids(say(driver, "b")), []);
  assert.deepEqual(ids(driver.pass(699)), []);
  assert.deepEqual(ids(driver.pass(1)), ["a"]);
  for (const pause of [2_000, 4_000]) {
    error(driver, "TOO_MANY_QUESTIONS", { retry: true, original_id: "a" });
    assert.deepEqual(ids(driver.pass(pause - 1)), []);
    assert.deepEqual(ids(driver.pass(1)), ["a"]);
  }
  assert.deepEqual(ids(ack(driver, "a", 1)), ["b"]);
  error(driver, "TOO_MANY_QUESTIONS", { retry: true, original_id: "b" });
  assert.deepEqual(ids(driver.pass(1_000)), ["b"]);
});

test("a rate limit that names nothing slows it down too", () => {
  const driver = new Driver();
  driver.open();
  say(driver, "a");
  const effects = driver.frame("error", { code: "RATE_LIMIT", message: "", retry: true, retry_after_ms: 500 });
  assert.equal(only("control", effects).length, 1);
  assert.deepEqual(ids(driver.pass(500)), ["a"]);
});

test("a frame can be taken back, and whether it may have arrived is known", () => {
  const driver = new Driver();
  say(driver, "a");
  assert.deepEqual(driver.feed({ type: "withdraw", id: "a" }), [{ type: "withdrawn", id: "a", wasSent: false }]);
  assert.deepEqual(ids(driver.open()), []);
  say(driver, "b");
  driver.feed({ type: "closed", code: 1006, reason: "" });
  assert.deepEqual(driver.feed({ type: "withdraw", id: "b" }), [{ type: "withdrawn", id: "b", wasSent: true }]);
  assert.deepEqual(driver.feed({ type: "withdraw", id: "c" }), [{ type: "withdrawn", id: "c", wasSent: true }]);
});

test("when the connection stops for good, so does all that waits", () => {
  const driver = new Driver();
  driver.open();
  say(driver, "a");
  say(driver, "b");
  assert.deepEqual(failures(driver.feed({ type: "closed", code: 4003, reason: "DISCONNECTED" })), [
    ["a", "DISCONNECTED"],
    ["b", "DISCONNECTED"],
  ]);
});

test("what has no id goes now or not at all", () => {
  const driver = new Driver();
  assert.deepEqual(say(driver, undefined), []);
  assert.deepEqual(driver.feed({ type: "bytes", bytes: new Uint8Array(1) }), []);
  assert.deepEqual(sent(driver.open()), []);
  assert.equal(sent(say(driver, undefined)).length, 1);
  assert.equal(sent(driver.feed({ type: "bytes", bytes: new Uint8Array(1) })).length, 1);
});

test("a connection without an outbox only listens", async () => {
  const { Machine } = await import("../src/machine.ts");
  const machine = new Machine({ query: {}, acks: false, maxDelayMs: 1 }, () => 0);
  for (const input of [
    { type: "send", kind: "chat", id: "a", frame: "{}" },
    { type: "withdraw", id: "a" },
    { type: "connect" },
    { type: "token", token: "t" },
    { type: "frame", text: '{"type":"error","data":{"original_type":"chat"}}' },
  ] as const) {
    assert.deepEqual(only("failed", machine.handle(input, 0)), []);
  }
  machine.handle({ type: "frame", text: '{"type":"connection","data":{"room":"chat:1","epoch":"e","seq":0}}' }, 0);
  assert.deepEqual(
    only("confirmed", machine.handle({ type: "frame", text: '{"type":"ack","data":{"id":"a","seq":1}}' }, 0)),
    [],
  );
  assert.deepEqual(only("failed", machine.handle({ type: "closed", code: 4003, reason: "" }, 0)), []);
});
