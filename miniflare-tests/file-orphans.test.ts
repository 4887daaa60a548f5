// Files that are put and of which the room never hears: whatever ended the request, nothing is left of them.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestWorker } from "./support/worker.ts";

const PDF = Buffer.concat([Buffer.from("%PDF-1.7\n"), Buffer.alloc(100_000, 7)]);

const start = () => TestWorker.start({ faults: true, settings: { CHAT_ACCESS: "open", FILE_PUT_TIMEOUT_MS: "1000" } });

const path = (worker: TestWorker, id: string) => worker.url(`/api/v1/ws/chat/s/files/${id}`);

const headers = (worker: TestWorker) => ({
  authorization: `Bearer ${worker.token({})}`,
  "content-type": "application/pdf",
});

const put = (worker: TestWorker, id: string, more = {}) =>
  fetch(path(worker, id), { method: "PUT", headers: { ...headers(worker), ...more }, body: new Uint8Array(PDF) });

async function status(worker: TestWorker, id: string): Promise<number> {
  const response = await fetch(path(worker, id), { headers: headers(worker) });
  await response.arrayBuffer();
  return response.status;
}

/** Waits for as long as the test may take. */
async function comesTo(worker: TestWorker, count: number): Promise<void> {
  while ((await worker.objects()).length !== count) await sleep(100);
}

test("an entry that dies when it has put a file leaves nothing, also if its room sleeps and restarts", async () => {
  await using worker = await start();
  assert.equal((await put(worker, "kept")).status, 200);
  const kept = await worker.objects();
  for (const end of [() => worker.evict("chat:s"), () => worker.restart()]) {
    assert.equal((await put(worker, "f", { "x-fault": "panic" })).status, 500);
    assert.equal((await worker.objects()).length, 2, "it has been put");
    await end();
    await comesTo(worker, 1);
  }
  assert.deepEqual(await worker.objects(), kept);
  assert.deepEqual([await status(worker, "kept"), await status(worker, "f")], [200, 404]);
  assert.equal((await put(worker, "f")).status, 200, "it may be brought again");
  assert.equal((await worker.objects()).length, 2);
});

test("a body that takes too long is refused, and may come again", async () => {
  await using worker = await start();
  const response = await new Promise<{ status?: number; body: string }>((resolve, reject) => {
    const announced = { ...headers(worker), "content-length": PDF.length };
    const request = httpRequest(path(worker, "f"), { method: "PUT", headers: announced }, async (answer) => {
      resolve({ status: answer.statusCode, body: Buffer.concat(await answer.toArray()).toString() });
      request.destroy();
    });
    request.on("error", reject);
    request.write(PDF.subarray(0, 50_000));
  });
  const { error } = JSON.parse(response.body);
  assert.deepEqual([response.status, error.code, error.retry], [503, "FILES_UNAVAILABLE", true]);
  assert.match(error.message, /too long/);
  assert.deepEqual([await worker.objects(), await status(worker, "f")], [[], 404]);
  assert.equal((await put(worker, "f")).status, 200);
  assert.equal((await worker.objects()).length, 1);
});
