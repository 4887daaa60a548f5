import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, EPOCH, OTHER_EPOCH, only, ROOM, sent, seqs } from "./support/driver.ts";

const INV = "investigation:1";

test("a message comes once, however often it is sent", () => {
  const driver = new Driver();
  driver.open({ seq: 3 });
  assert.deepEqual(seqs(driver.message(ROOM, 4)), [4]);
  for (const seq of [4, 3, 1]) assert.deepEqual(seqs(driver.message(ROOM, seq)), []);
  driver.comeBack({ seq: 4, recovered: true });
  assert.deepEqual(seqs(driver.message(ROOM, 4)), []);
  assert.deepEqual(seqs(driver.message(ROOM, 5)), [5]);
});

test("what is critical may come early, and the cursor waits for the rest", () => {
  const driver = new Driver();
  driver.open({ seq: 7 });
  assert.deepEqual(seqs(driver.message(ROOM, 9)), [9]);
  assert.deepEqual(driver.machine.cursor(), { epoch: EPOCH, seq: 7 });
  assert.deepEqual(seqs(driver.message(ROOM, 8)), [8]);
  assert.deepEqual(seqs(driver.message(ROOM, 9)), []);
  assert.deepEqual(driver.machine.cursor(), { epoch: EPOCH, seq: 9 });
});

test("the messages of a batch are handled in their order", () => {
  const driver = new Driver();
  driver.open();
  const messages = [2, 1, 2].map((seq) => ({ type: "news", data: {}, id: `m${seq}`, room: ROOM, seq }));
  assert.deepEqual(seqs(driver.feed({ type: "frame", text: JSON.stringify({ type: "batch", messages }) })), [2, 1]);
});

test("what is ephemeral has no place, and always comes", () => {
  const driver = new Driver();
  driver.open();
  assert.deepEqual(seqs(driver.message(ROOM, undefined)), [undefined]);
  assert.deepEqual(seqs(driver.message(ROOM, undefined)), [undefined]);
});

test("a hole that does not fill is asked for again: its own room by a new connection", () => {
  const driver = new Driver();
  driver.open({ seq: 7 });
  driver.message(ROOM, 9);
  assert.deepEqual(only("hangup", driver.pass(4_999)), []);
  const effects = driver.pass(1_000);
  assert.equal(only("hangup", effects).length, 1);
  assert.deepEqual(only("dial", effects)[0]?.query, { epoch: EPOCH, since: "7" });
  driver.welcome({ seq: 7, recovered: true });
  assert.deepEqual(seqs([...driver.message(ROOM, 8), ...driver.message(ROOM, 9)]), [8]);
});

test("a hole in a room that was subscribed to is filled by subscribing again", () => {
  const driver = new Driver();
  driver.open();
  driver.feed({ type: "subscribe", room: INV });
  driver.subscribed(INV, 3);
  driver.message(INV, 5);
  const again = sent(driver.pass(5_000));
  assert.deepEqual(again, [{ type: "subscribe", data: { investigation_id: "1", epoch: EPOCH, since: 3 } }]);
  driver.subscribed(INV, 3, { recovered: true });
  assert.deepEqual(seqs([...driver.message(INV, 4), ...driver.message(INV, 5), ...driver.message(INV, 6)]), [4, 6]);
});

test("too much that came early is a hole too", () => {
  const driver = new Driver();
  driver.open();
  for (let seq = 2; seq <= 1_001; seq += 1) driver.message(ROOM, seq);
  assert.equal(driver.status, "connected");
  driver.message(ROOM, 1_002);
  assert.equal(driver.status, "waiting");
});

test("what is lost is told, once, and everything after it comes", () => {
  for (const lost of [{ seq: 9, recovered: false }, { seq: 9 }, { seq: 2, epoch: OTHER_EPOCH, recovered: false }]) {
    const driver = new Driver();
    driver.open({ seq: 4 });
    const resets = only("reset", driver.comeBack(lost));
    assert.deepEqual(
      resets,
      [{ type: "reset", room: ROOM, cursor: { epoch: EPOCH, ...lost, recovered: undefined } }].map(strip),
    );
    assert.deepEqual(seqs(driver.message(ROOM, lost.seq)), []);
    assert.deepEqual(seqs(driver.message(ROOM, lost.seq + 1)), [lost.seq + 1]);
  }
});

const strip = ({
  cursor: { epoch, seq },
  ...rest
}: {
  type: string;
  room: string;
  cursor: { epoch: string; seq: number };
}) => ({
  ...rest,
  cursor: { epoch, seq },
});

test("a first welcome is no loss, unless the server says so", () => {
  assert.deepEqual(only("reset", new Driver().open({ seq: 9 })), []);
  assert.deepEqual(only("reset", new Driver().open({ seq: 9, recovered: true })), []);
  assert.equal(only("reset", new Driver().open({ seq: 9, recovered: false })).length, 1);
});

test("a loss may be told unasked: in its own room, in one subscribed to, and of what is for everybody", () => {
  const driver = new Driver();
  driver.open({ seq: 4 });
  driver.feed({ type: "subscribe", room: INV });
  driver.subscribed(INV, 3);
  driver.message("system:all", 70);
  for (const room of [ROOM, INV, "system:all"]) {
    const [reset] = only("reset", driver.subscribed(room, 90, { epoch: OTHER_EPOCH, recovered: false }));
    assert.deepEqual(reset, { type: "reset", room, cursor: { epoch: OTHER_EPOCH, seq: 90 } });
    assert.deepEqual(seqs([...driver.message(room, 90), ...driver.message(room, 91)]), [91]);
  }
  assert.deepEqual(only("reset", driver.subscribed("investigation:other", 1, { recovered: false })), []);
});

test("what is for everybody begins with the first that comes, and comes once", () => {
  const driver = new Driver();
  driver.open();
  assert.deepEqual(seqs([...driver.message("system:all", 70), ...driver.message("system:all", 70)]), [70]);
  driver.comeBack();
  assert.deepEqual(seqs([...driver.message("system:all", 70), ...driver.message("system:all", 71)]), [71]);
});

test("messages are confirmed about once a second, each room that is heard", () => {
  const driver = new Driver({ acks: true });
  driver.open();
  driver.feed({ type: "subscribe", room: INV });
  driver.subscribed(INV, 3);
  driver.pass(1_000);
  for (const seq of [1, 2, 3]) assert.deepEqual(sent(driver.message(ROOM, seq)), []);
  driver.message(INV, 4);
  driver.message("system:all", 70);
  assert.deepEqual(sent(driver.pass(1_000)), [
    { type: "ack", data: { seq: 3 } },
    { type: "ack", data: { seq: 4, room: INV } },
    { type: "ack", data: { seq: 70, room: "system:all" } },
  ]);
  assert.deepEqual(sent(driver.pass(20_000)), []);
});

test("a hundred messages are confirmed at once", () => {
  const driver = new Driver({ acks: true });
  driver.open();
  driver.pass(1_000);
  for (let seq = 1; seq < 100; seq += 1) assert.deepEqual(sent(driver.message(ROOM, seq)), []);
  assert.deepEqual(sent(driver.message(ROOM, 100)), [{ type: "ack", data: { seq: 100 } }]);
});

test("a confirmation that was refused is sent again", () => {
  const driver = new Driver({ acks: true });
  driver.open();
  driver.message(ROOM, 1);
  assert.equal(sent(driver.pass(1_000)).length, 1);
  driver.frame("error", { code: "RATE_LIMIT", message: "", retry: true, original_type: "ack" });
  assert.deepEqual(sent(driver.pass(1_000)), [{ type: "ack", data: { seq: 1 } }]);
});

test("how far it is is stored, without confirmations too, and also when the connection breaks", () => {
  const driver = new Driver();
  driver.open();
  driver.pass(1_000);
  driver.feed({ type: "subscribe", room: INV });
  driver.subscribed(INV, 3);
  assert.deepEqual(only("save", driver.pass(1_000)), [
    { type: "save", room: INV, cursor: { epoch: EPOCH, seq: 3 }, isOwn: false },
  ]);
  driver.message(ROOM, 1);
  assert.deepEqual(only("save", driver.feed({ type: "closed", code: 1006, reason: "" })), [
    { type: "save", room: ROOM, cursor: { epoch: EPOCH, seq: 1 }, isOwn: true },
  ]);
});
