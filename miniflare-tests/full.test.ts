// A room holds as many sockets as it may, and says so to the next one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { CHAT_ACCESS: "open", MAX_SOCKETS_PER_ROOM: "3" } });
});
after(() => worker[Symbol.asyncDispose]());

const url = (sub: string) => worker.url(`/api/v1/ws/chat/1?token=${worker.token({ sub })}`, "ws");

test("a full room turns the next socket away for now, also after it slept, and takes it when there is room", async () => {
  using first = await Client.open(url("ana"));
  using _second = await Client.open(url("bea"));
  using _third = await Client.open(url("cai"));
  for (let round = 0; round < 2; round++) {
    using refused = new Client(url("dora"));
    const { data } = await refused.next();
    assert.deepEqual([data.code, data.retry], ["ROOM_FULL", true]);
    assert.deepEqual(await refused.closed, { code: 1013, reason: "ROOM_FULL" });
    await worker.evict("chat:1");
  }
  await first.close();
  using _dora = await Client.open(url("dora"));
});
