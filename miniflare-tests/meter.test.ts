// What the rooms cost is counted where the platform counts it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

const NOTHING = { rows_read: 0, rows_written: 0, requests: 0, frames_in: 0 };

test("a message costs a request and rows, a frame costs a frame, and what was asked is counted once", async () => {
  await using worker = await TestWorker.start({ faults: true });
  assert.deepEqual(await worker.meter(), NOTHING);
  using client = await Client.open(worker.url(`/api/v1/ws/chat/1?token=${worker.token({})}`, "ws"));
  assert.equal((await worker.meter()).requests, 2, "the reservation and the socket");

  await worker.publish("/chat/1", { type: "news" });
  assert.equal((await client.next()).type, "news");
  const { rows_written, requests, frames_in } = await worker.meter();
  assert.deepEqual([requests, frames_in], [1, 0]);
  assert.ok(rows_written > 0 && rows_written < 100, `${rows_written} rows`);

  await client.ask({ type: "ping", data: {} });
  const frame = await worker.meter();
  assert.deepEqual([frame.requests, frame.frames_in], [0, 1]);
});
