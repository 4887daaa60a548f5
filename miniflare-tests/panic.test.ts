// A trap in WASM fails the requests that were in flight, at once, and nothing after them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

for (const [target, fault] of [
  ["chat:broken", "panic"],
  ["chat:broken", "overflow"],
  ["entry", "panic"],
  ["entry", "overflow"],
]) {
  test(`${fault} in ${target}: 500 for what was in flight, then all goes on`, async () => {
    await using worker = await TestWorker.start({ faults: true, settings: { CHAT_ACCESS: "open" } });
    const open = (sub: string) => Client.open(worker.url(`/api/v1/ws/chat/1?token=${worker.token({ sub })}`, "ws"));
    using client = await open("ana");
    await worker.publish("/chat/1", { type: "before" });
    assert.equal((await client.next()).seq, 1);

    // It answers "slow" with 200 after a while, unless it is cut off.
    const slow = fetch(worker.url("/fault/chat:other/slow"));
    const broken = await fetch(worker.url(`/fault/${target}/${fault}`));
    for (const response of [broken, await slow]) {
      assert.equal(response.status, 500);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      const { error } = (await response.json()) as { error: { code: string; retry: boolean } };
      assert.deepEqual([error.code, error.retry], ["INTERNAL", true]);
    }

    const { status } = await worker.publish("/chat/1", { type: "after" });
    assert.equal(status, 200);
    const message = await client.next();
    assert.deepEqual([message.type, message.seq], ["after", 2]);
    using another = await open("bia");
    assert.equal(another.welcome?.data.seq, 2);
    assert.ok(worker.log.some((line) => line.includes(fault === "panic" ? "provoked" : "stack")));
  });
}

test("the build that is deployed has no such routes", async () => {
  await using worker = await TestWorker.start();
  assert.equal((await fetch(worker.url("/fault/entry/panic"))).status, 404);
});
