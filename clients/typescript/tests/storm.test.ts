// Ten thousand clients lose their connection in one moment, as they do when the server is deployed: when they come back.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Machine } from "../src/machine.ts";
import { Driver, only } from "./support/driver.ts";
import { random } from "./support/random.ts";

const CLIENTS = 10_000;
/** What the server advertises to so many: at 500 a second. */
const WINDOW_MS = 20_000;
const SLOT_MS = 100;

interface Storm {
  /** Arrivals in each tenth of a second. */
  slots: number[];
  /** How often a client tried before it was let in. */
  attempts: number[];
}

/** `isUp` says whether an attempt at that moment succeeds. */
function storm(draw: () => number, isUp: (ms: number) => boolean): Storm {
  const result: Storm = { slots: [], attempts: [] };
  for (let client = 0; client < CLIENTS; client += 1) result.attempts.push(comeBack(draw, isUp, result.slots));
  return result;
}

function comeBack(draw: () => number, isUp: (ms: number) => boolean, slots: number[]): number {
  const driver = new Driver({ random: draw });
  driver.open({ reconnect_within_ms: WINDOW_MS });
  driver.live(60_000);
  const dropped = driver.now;
  for (let attempts = 1; ; attempts += 1) {
    if (only("dial", driver.lose()).length !== 1) assert.fail("it does not come back");
    const at = driver.now - dropped;
    const slot = Math.floor(at / SLOT_MS);
    slots[slot] = (slots[slot] ?? 0) + 1;
    if (isUp(at)) return attempts;
  }
}

const peak = (slots: number[]) => Math.max(...slots.filter((count) => count !== undefined));

test("they spread over the window that the server advertised", (t) => {
  const { slots, attempts } = storm(random(1), () => true);
  const baseline = storm(
    () => 1,
    () => true,
  );
  t.diagnostic(`peak arrivals in 100 ms: ${peak(slots)} with full jitter, ${peak(baseline.slots)} without`);
  assert.equal(peak(baseline.slots), CLIENTS, "without chance all come in one moment");
  const fair = CLIENTS / (WINDOW_MS / SLOT_MS);
  assert.ok(peak(slots) <= 2 * fair, `${peak(slots)} in one slot, where ${fair} would be fair`);
  assert.ok(slots.length <= WINDOW_MS / SLOT_MS, "nobody comes after the window");
  assert.ok(attempts.every((count) => count === 1));
});

test("they stay spread while the server is down, and do not come in waves", (t) => {
  const DOWN_MS = 45_000;
  const { slots, attempts } = storm(random(2), (ms) => ms >= DOWN_MS);
  const most = attempts.reduce((a, b) => Math.max(a, b), 0);
  const back = slots.slice(DOWN_MS / SLOT_MS);
  t.diagnostic(
    `down for 45 s: peak ${peak(slots)} in 100 ms, ${peak(back)} once it is up, at most ${most} attempts each`,
  );
  assert.ok(peak(slots) <= 150);
  assert.ok(back.reduce((sum, count = 0) => sum + count, 0) >= CLIENTS);
});

test("a server that nobody was told of is still not hit at once", (t) => {
  const slots: number[] = [];
  const draw = random(3);
  for (let client = 0; client < CLIENTS; client += 1) {
    const driver = new Driver({ random: draw });
    driver.open({ reconnect_within_ms: undefined });
    driver.lose();
    const at = Math.floor((driver.now - 1_000_000) / SLOT_MS);
    slots[at] = (slots[at] ?? 0) + 1;
  }
  t.diagnostic(`without an advertised window: peak ${peak(slots)} in 100 ms`);
  assert.ok(peak(slots) <= 1_200);
});

test("each machine draws its own chance", () => {
  const machines: Machine[] = [];
  const draw = random(4);
  const waits = new Set<number>();
  for (let client = 0; client < 100; client += 1) {
    const driver = new Driver({ random: draw });
    driver.open();
    driver.feed({ type: "closed", code: 1006, reason: "" });
    waits.add(driver.machine.deadline ?? 0);
    machines.push(driver.machine);
  }
  assert.equal(waits.size, machines.length);
});
