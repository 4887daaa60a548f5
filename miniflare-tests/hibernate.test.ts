// A room that was put to sleep with its sockets open goes on as if nothing had happened.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start();
});
after(() => worker[Symbol.asyncDispose]());

/** A token that ends soon would wake its room to say so. */
const exp = () => Math.floor(Date.now() / 1_000) + 3_600;

const open = (path: string, sub = "ana") =>
  Client.open(worker.url(`/api/v1/ws${path}?token=${worker.token({ sub, exp: exp() })}`, "ws"));

test("sockets, identity, the sequence and duplicates survive", async () => {
  using ana = await open("/investigations/1");
  using bea = await open("/investigations/1", "bea");
  await worker.publish("/investigations/1", { type: "before", id: "m-1" });
  assert.equal((await ana.next()).seq, 1);
  assert.equal((await bea.next()).seq, 1);

  await worker.evict("investigation:1");
  const { body } = await worker.publish("/investigations/1", [{ type: "before", id: "m-1" }, { type: "after" }]);
  assert.deepEqual(body.messages[0], { id: "m-1", seq: 1, duplicate: true });
  for (const client of [ana, bea]) {
    const message = await client.next();
    assert.deepEqual([message.type, message.seq], ["after", 2]);
  }

  await worker.evict("investigation:1");
  ana.send('{"type":"ping"}');
  assert.equal(await ana.text(), '{"type":"pong","data":{}}');
  assert.equal((await ana.ask({ type: "dance" })).data.code, "UNKNOWN_TYPE");
  assert.equal((await bea.close()).code, 1000);
  await worker.publish("/investigations/1", { type: "last" });
  assert.equal((await ana.next()).seq, 3);
});

test("a subscription survives the sleep of either room", async () => {
  using client = await open("");
  const subscribe = { type: "subscribe", data: { investigation_id: "2" } };
  assert.equal((await client.ask(subscribe)).type, "subscribed");
  for (const asleep of [["user:ana"], ["investigation:2"], ["user:ana", "investigation:2"]]) {
    for (const room of asleep) await worker.evict(room);
    await worker.publish("/investigations/2", { type: "update", data: asleep });
    assert.deepEqual((await client.next()).data, asleep);
  }
  await worker.evict("user:ana");
  assert.equal((await client.ask({ type: "unsubscribe", data: { investigation_id: "2" } })).type, "unsubscribed");
  await worker.publish("/investigations/2", { type: "update" });
  assert.deepEqual(await client.drain(), []);
});

test("a room that sleeps while a socket of it closes does not count it afterwards", async () => {
  using staying = await open("/chat/3");
  using leaving = await open("/chat/3");
  await worker.evict("chat:3");
  await leaving.close();
  const headers = { authorization: `Bearer ${worker.token({ role: "service" })}` };
  const health = await fetch(worker.url("/api/v1/ws/health?room=chat:3"), { headers });
  assert.equal(((await health.json()) as { connections: number }).connections, 1);
  assert.deepEqual(await staying.drain(), []);
});

test("rooms in which nobody talks fall asleep by themselves, pinged or not, and hear what comes", async () => {
  using direct = await open("/investigations/idle", "cai");
  using general = await open("", "cai");
  await general.ask({ type: "subscribe", data: { investigation_id: "idle" } });
  await worker.publish("/investigations/idle", { type: "before" });
  for (const client of [direct, general]) assert.equal((await client.next()).type, "before");

  // The runtime puts an object to sleep 10 s after its last event, if nothing keeps it awake. To look would keep it awake,
  // or put it to sleep, so this waits for twice as long.
  for (let round = 0; round < 20; round++) {
    direct.send('{"type":"ping"}');
    assert.equal(await direct.text(), '{"type":"pong","data":{}}');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  for (const room of ["investigation:idle", "user:cai", "system:all"]) {
    await assert.rejects(worker.evict(room), /not .*running/, room);
  }
  await worker.publish("/investigations/idle", { type: "after" });
  for (const client of [direct, general]) assert.equal((await client.next()).type, "after");
});
