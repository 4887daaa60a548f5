// One connection hears many rooms.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

const open = (path: string, sub: string) =>
  Client.open(worker.url(`/api/v1/ws${path}?token=${worker.token({ sub })}`, "ws"));
const subscribe = (id: string) => ({ type: "subscribe", data: { investigation_id: id } });

for (const path of ["", "/chat/s1"]) {
  test(`a socket of ${path || "the general connection"} hears the investigation it subscribed to`, async () => {
    using client = await open(path, "ana");
    const subscribed = await client.ask(subscribe("inv-1"));
    assert.equal(subscribed.type, "subscribed");
    assert.deepEqual([subscribed.data.investigation_id, subscribed.data.room], ["inv-1", "investigation:inv-1"]);
    await worker.publish("/investigations/inv-1", { type: "anomaly_detected", data: { severity: "high" } });
    const message = await client.next();
    assert.deepEqual(
      [message.type, message.room, message.data.severity],
      ["anomaly_detected", "investigation:inv-1", "high"],
    );
    const unsubscribed = await client.ask({ type: "unsubscribe", data: { investigation_id: "inv-1" } });
    assert.deepEqual([unsubscribed.type, unsubscribed.data.investigation_id], ["unsubscribed", "inv-1"]);
    await worker.publish("/investigations/inv-1", { type: "anomaly_detected" });
    assert.deepEqual(await client.drain(), []);
  });
}

test("of two devices of a user, each hears what it subscribed to", async () => {
  using phone = await open("", "bea");
  using laptop = await open("", "bea");
  assert.equal((await phone.ask(subscribe("both"))).type, "subscribed");
  assert.equal((await laptop.ask(subscribe("both"))).type, "subscribed");
  assert.equal((await laptop.ask({ type: "subscribe_analysis", data: { analysis_id: "one" } })).type, "subscribed");
  await worker.publish("/investigations/both", { type: "a" });
  assert.deepEqual([(await phone.next()).type, (await laptop.next()).type], ["a", "a"]);
  await worker.publish("/analysis/one", { type: "b" });
  assert.equal((await laptop.next()).room, "analysis:one");
  assert.deepEqual(await phone.drain(), []);
});

test("who comes back to a room that was let go hears it again", async () => {
  using client = await open("", "cai");
  for (const n of [1, 2, 3]) {
    assert.equal((await client.ask(subscribe("again"))).type, "subscribed");
    await worker.publish("/investigations/again", { type: "step", data: { n } });
    assert.equal((await client.next()).data.n, n);
    assert.equal((await client.ask({ type: "unsubscribe", data: { investigation_id: "again" } })).type, "unsubscribed");
  }
});

test("messages keep their order on their way through two rooms", async () => {
  using client = await open("", "dora");
  await client.ask(subscribe("order"));
  for (let n = 0; n < 20; n++) await worker.publish("/investigations/order", { type: "step", data: { n } });
  const received = [];
  while (received.length < 20) received.push((await client.next()).data.n);
  assert.deepEqual(
    received,
    Array.from({ length: 20 }, (_, n) => n),
  );
});

test("a connection follows a hundred rooms and no more", async () => {
  using client = await open("", "eva");
  for (let n = 0; n < 100; n++) assert.equal((await client.ask(subscribe(`many-${n}`))).type, "subscribed");
  const refused = await client.ask(subscribe("one-more"));
  assert.deepEqual([refused.data.code, refused.data.original_type], ["TOO_MANY_SUBSCRIPTIONS", "subscribe"]);
  assert.equal((await client.ask(subscribe("many-7"))).type, "subscribed");
});
