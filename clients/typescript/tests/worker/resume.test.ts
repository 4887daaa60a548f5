import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import type { Reset } from "../../src/index.ts";
import { localStorageCursors } from "../../src/storage/local.ts";
import { collect, connect, news, numbers, publish, until } from "./support.ts";

const worker = await TestWorker.start();
after(() => worker[Symbol.asyncDispose]());

function memory() {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

test("a room goes on while the server's objects sleep and wake", async () => {
  await using client = connect(worker);
  const room = client.investigation("evicted");
  const messages = collect(room);
  await room.ready;
  await publish(worker, "/investigations/evicted", ...news(1, 2));
  await until("the first", () => messages.length === 2);
  await worker.evict("user:ana");
  await worker.evict("investigation:evicted");
  await publish(worker, "/investigations/evicted", ...news(3));
  await until("the rest", () => messages.length === 3);
  assert.deepEqual(numbers(messages), [1, 2, 3]);
  assert.equal(client.state.status, "connected");
});

test("what was published while it was away comes once, in order", async () => {
  await using client = connect(worker);
  const room = client.investigation("away");
  const messages = collect(room);
  await room.ready;
  await publish(worker, "/investigations/away", ...news(1));
  await until("the first", () => messages.length === 1);
  client.disconnect();
  await publish(worker, "/investigations/away", ...news(2, 3));
  await client.ready();
  await publish(worker, "/investigations/away", ...news(4));
  await until("the rest", () => messages.length >= 4);
  assert.deepEqual(numbers(messages), [1, 2, 3, 4]);
});

test("two handles of a room: who names an earlier place gets what came since, the other nothing twice", async () => {
  await using client = connect(worker);
  const first = client.investigation("shared");
  const before = collect(first);
  await first.ready;
  const start = first.cursor;
  assert.ok(start);
  await publish(worker, "/investigations/shared", ...news(1, 2, 3));
  await until("the first", () => before.length === 3);
  const second = client.investigation("shared", { since: { ...start, seq: start.seq + 1 } });
  const later = collect(second);
  await until("the second", () => later.length === 2);
  await publish(worker, "/investigations/shared", ...news(4));
  await until("both", () => later.length === 3 && before.length === 4);
  assert.deepEqual(
    [numbers(before), numbers(later)],
    [
      [1, 2, 3, 4],
      [2, 3, 4],
    ],
  );
});

test("a room is heard until its last handle is closed", async () => {
  await using client = connect(worker);
  const all = collect(client);
  const [first, second] = [client.investigation("handles"), client.investigation("handles")];
  await Promise.all([first.ready, second.ready]);
  first.close();
  await publish(worker, "/investigations/handles", ...news(1));
  await until("it", () => all.length === 1);
  second.close();
  assert.equal(second.status, "closed");
  // It is kept for a second, in case that it is taken again.
  await sleep(1_500);
  await publish(worker, "/investigations/handles", ...news(2));
  await publish(worker, "/users/ana", ...news(3));
  await until("what comes after it", () => all.length === 2);
  assert.deepEqual(numbers(all), [1, 3]);
});

test("cursors that are kept bring back what was missed between two visits", async () => {
  const storage = memory();
  const options = { storage: localStorageCursors(storage) };
  const visit = connect(worker, options);
  const room = visit.investigation("visits");
  const seen = collect(room);
  await room.ready;
  await publish(worker, "/investigations/visits", ...news(1));
  await until("the first", () => seen.length === 1);
  await visit.close();
  assert.equal(storage.items.size, 2, [...storage.items.keys()].join());
  await publish(worker, "/investigations/visits", ...news(2));
  await publish(worker, "/users/ana", ...news(3));
  await using again = connect(worker, options);
  const messages = collect(again);
  again.investigation("visits");
  await until("both", () => messages.length === 2);
  assert.deepEqual(numbers(messages).sort(), [2, 3]);
});

test("a place that the log does not know is told as a loss", async () => {
  const storage = memory();
  const key = `cidadao:${worker.url("")}:investigation:lost`;
  storage.setItem(key, JSON.stringify({ room: "investigation:lost", epoch: "0123456789abcdef", seq: 7 }));
  await publish(worker, "/investigations/lost", ...news(1));
  await using client = connect(worker, { storage: localStorageCursors(storage) });
  const room = client.investigation("lost");
  const reset = await new Promise<Reset>((resolve) => room.on("@reset", resolve));
  assert.equal(reset.room, "investigation:lost");
  assert.deepEqual(room.cursor, reset.cursor);
  const messages = collect(room);
  await publish(worker, "/investigations/lost", ...news(2));
  await until("what comes after it", () => messages.length === 1);
  assert.deepEqual(numbers(messages), [2]);
});

test("what was stored and is no cursor does not keep it from connecting", async () => {
  const storage = memory();
  storage.setItem(`cidadao:${worker.url("")}:/api/v1/ws`, "{rubbish");
  storage.setItem(`cidadao:${worker.url("")}:investigation:mad`, '{"epoch":"x","seq":3,"room":"investigation:mad"}');
  await using client = connect(worker, { storage: localStorageCursors(storage) });
  await client.ready();
  assert.equal(storage.items.has(`cidadao:${worker.url("")}:/api/v1/ws`), false);
});

test("what is confirmed is known to be confirmed", async () => {
  await using client = connect(worker, { acks: true, getToken: () => worker.token({ sub: "confirming" }) });
  const messages = collect(client);
  await client.ready();
  await publish(worker, "/users/confirming", { type: "news", id: "n-1", data: { n: 1 } });
  await until("it", () => messages.length === 1);
  const headers = { authorization: `Bearer ${worker.token({ role: "service" })}` };
  const status = () => fetch(worker.url("/api/v1/ws/users/confirming/messages/n-1"), { headers });
  let confirmed: unknown = 0;
  for (let tries = 0; tries < 200 && confirmed !== 1; tries += 1) {
    ({ confirmed } = (await (await status()).json()) as { confirmed: number });
    await sleep(50);
  }
  assert.equal(confirmed, 1);
});

test("messages can be taken one by one, by type, by family, and for everybody", async () => {
  await using client = connect(worker);
  const room = client.analysis("loops");
  const heard: string[] = [];
  client.on("investigation_*", ({ type, data }) => heard.push(`${type} ${data.progress}`));
  client.on("system_notification", ({ data }) => heard.push(data.notification_type));
  const end = client.on("report_ready", () => heard.push("report"));
  await room.ready;
  const loop = (async () => {
    const ids: string[] = [];
    for await (const message of room) if (ids.push(message.id) === 3) return ids;
    return ids;
  })();
  await publish(
    worker,
    "/analysis/loops",
    { type: "investigation_progress", id: "a", data: { progress: 0.5 } },
    { type: "report_ready", id: "b" },
  );
  await until("both", () => heard.length === 2);
  end();
  end();
  await publish(worker, "/analysis/loops", { type: "report_ready", id: "c" });
  await publish(worker, "/system", { type: "system_notification", data: { notification_type: "maintenance" } });
  assert.deepEqual(await loop, ["a", "b", "c"]);
  await until("that for everybody", () => heard.length === 3);
  assert.deepEqual(heard, ["investigation_progress 0.5", "report", "maintenance"]);
});
