import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../src/backoff.ts";
import { RealtimeError } from "../src/errors.ts";
import { expiryOf, fields, placeOf, refusalOf, roomName } from "../src/protocol.ts";
import { verdictOf } from "../src/verdict.ts";

const token = (payload: unknown) => `h.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.s`;

test("the end of a token is read from it, if it says one", () => {
  assert.equal(expiryOf(token({ exp: 1_761_937_200, name: "Ção???>>>" })), 1_761_937_200_000);
  for (const other of ["", "opaque", "a.b.c", token({}), token({ exp: "soon" })])
    assert.equal(expiryOf(other), undefined);
});

test("a name of a room holds an id, or there is none", () => {
  assert.equal(roomName("investigation", "inv-123"), "investigation:inv-123");
  assert.throws(
    () => roomName("investigation", "a b"),
    (error) => error instanceof RealtimeError && error.code === "INVALID_ID",
  );
});

test("a place is whole or none", () => {
  assert.equal(placeOf({ epoch: "e" }), undefined);
  assert.equal(placeOf({ seq: 1 }), undefined);
  assert.equal(placeOf({ epoch: "e", seq: 1.5 }), undefined);
  assert.deepEqual(fields([]), {});
});

test("a refusal without words has some all the same", () => {
  assert.deepEqual(refusalOf({}), { code: "UNKNOWN", message: "Refused.", retry: false, retry_after_ms: undefined });
  assert.equal(refusalOf({ retry_after_ms: "7" }).retry_after_ms, 7);
  assert.equal(verdictOf({ code: "NEW", retry: true }), "retry");
  assert.equal(verdictOf({ code: "NEW", retry: false }), "stop");
});

test("an error has its code, and a name that says what it is", () => {
  const error = new RealtimeError({ code: "X", message: "No." }, 4003);
  assert.deepEqual([error.name, error.code, error.retry, error.closeCode], ["RealtimeError", "X", false, 4003]);
});

test("what is no time is no window", () => {
  const backoff = new Backoff(30_000, () => 1);
  for (const nothing of [undefined, "5000", 0, -1]) backoff.advertise(nothing);
  assert.equal(backoff.next(), 1_000);
});
