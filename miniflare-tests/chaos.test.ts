// The runtime is killed again and again, connections break, and nothing that was acknowledged is lost.

import assert from "node:assert/strict";
import { test } from "node:test";
import { storm } from "./support/storm.ts";

test("what was acknowledged is in the log once, and reaches every client of every kind", async () => {
  const weather = { kills: 5, seconds: 8, seed: 7, rooms: 4, clients: 16, publishers: 2, cutMs: 300 };
  const report = await storm(weather);
  assert.deepEqual(report.faults, []);
  assert.equal(report.lost, 0);
  assert.equal(report.kills, 5);
  assert.ok(report.acknowledged > 100 && report.cuts > 5, "there was nothing to lose");
});
