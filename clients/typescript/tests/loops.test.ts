// What loops over rooms hold, and what they give back.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Client, type ClientOptions, createClient, type Message, type Room } from "../src/index.ts";
import { createTabsClient } from "../src/tabs/index.ts";
import { FakeServer } from "./react/support/server.ts";

const PATIENCE = 10_000;
const ROOM = "investigation:inv-1";

type Make = (options: ClientOptions) => Client;

/** All that is held in the same way by a client of one tab, and by one that shares its connection with others. */
const KINDS: Record<string, Make> = {
  "of a client": createClient,
  "of tabs": (options) => createTabsClient({ ...options, group: `loops ${Math.random()}` }),
};

let server: FakeServer;
let client: Client;

async function until(isSo: () => unknown, what: string): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`in vain waited until ${what}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

const named = (type: string, id: string) =>
  server.heard(type).filter(({ data }) => (data as { investigation_id?: string }).investigation_id === id).length;
const isLeft = (id = "inv-1") => until(() => named("unsubscribe", id) === 1, `${id} is given back`);
const numberOf = ({ data }: Message) => (data as { n: number }).n;
const say = (...numbers: number[]) => server.publish(ROOM, "news", ...numbers.map((n) => ({ n })));

/** By now, what was given back before this was called is gone. */
async function linger(): Promise<void> {
  for await (const _ of speaking("other")) break;
  await isLeft("other");
}

/** A room in which something is said as soon as it is heard. */
function speaking(id: string): Room {
  const room = client.investigation(id);
  room.ready.then(() => server.publish(`investigation:${id}`, "news", { n: 0 }));
  return room;
}

/** Takes so many, and stops. */
async function take(room: Room, count: number): Promise<number[]> {
  const taken: number[] = [];
  for await (const message of room) if (taken.push(numberOf(message)) === count) break;
  return taken;
}

for (const [kind, make] of Object.entries(KINDS)) {
  describe(`a loop over a room ${kind}`, () => {
    beforeEach(() => {
      server = new FakeServer();
      client = make({ url: "http://realtime.test", getToken: () => "a.b.c", WebSocket: server.WebSocket });
    });
    afterEach(() => client.close());

    it("gives the room back when it is broken off", async () => {
      for await (const _ of speaking("inv-1")) break;
      await isLeft();
      assert.equal(client.state.status, "connected");
    });

    it("gives it back when its body throws", async () => {
      const loop = async () => {
        for await (const message of speaking("inv-1")) throw new Error(message.type);
      };
      await assert.rejects(loop(), /news/);
      await isLeft();
    });

    it("gives it back when its function returns", async () => {
      const first = async (room: Room) => {
        for await (const message of room) return numberOf(message);
        return undefined;
      };
      assert.equal(await first(speaking("inv-1")), 0);
      await isLeft();
    });

    it("gives it back though somebody waited for the room to be ready", async () => {
      const room = client.investigation("inv-1");
      await room.ready;
      const taken = take(room, 1);
      say(1);
      assert.deepEqual(await taken, [1]);
      assert.equal(room.status, "closed");
      await isLeft();
    });

    it("leaves it to another loop over the same handle, and the last gives it back", async () => {
      const room = client.investigation("inv-1");
      await room.ready;
      const [short, long] = [take(room, 1), take(room, 3)];
      say(1);
      assert.deepEqual(await short, [1]);
      await linger();
      assert.equal(named("unsubscribe", "inv-1"), 0);
      say(2, 3);
      assert.deepEqual(await long, [1, 2, 3]);
      await isLeft();
    });

    it("leaves it to a listener, until the handle is closed", async () => {
      const room = speaking("inv-1");
      const heard: number[] = [];
      room.on("*", (message) => heard.push(numberOf(message)));
      assert.deepEqual(await take(room, 1), [0]);
      await linger();
      say(1);
      await until(() => heard.length === 2, "the listener has heard");
      assert.equal(room.status, "live");
      room.close();
      await isLeft();
    });

    it("leaves it to another handle of the room", async () => {
      const other = client.investigation("inv-1");
      assert.deepEqual(await take(speaking("inv-1"), 1), [0]);
      await linger();
      assert.equal(named("unsubscribe", "inv-1"), 0);
      assert.equal(other.status, "live");
    });

    it("can be begun again at once, and hears on over the same subscription", async () => {
      const room = speaking("inv-1");
      assert.deepEqual(await take(room, 1), [0]);
      const again = take(room, 2);
      say(1, 2);
      assert.deepEqual(await again, [1, 2]);
      assert.equal(named("subscribe", "inv-1"), 1);
      await isLeft();
    });

    it("can be begun again after the room was given back, and hears what comes then", async () => {
      const room = speaking("inv-1");
      assert.deepEqual(await take(room, 1), [0]);
      await isLeft();
      say(1);
      const again = take(room, 1);
      await room.ready;
      assert.equal(named("subscribe", "inv-1"), 2);
      say(2);
      assert.deepEqual(await again, [2]);
    });

    it("leaves a handle that a listener can take again", async () => {
      const room = speaking("inv-1");
      await take(room, 1);
      const heard: number[] = [];
      room.on("news", (message) => heard.push(numberOf(message)));
      await linger();
      say(1);
      await until(() => heard.length === 1, "the listener has heard");
      assert.equal(named("unsubscribe", "inv-1"), 0);
    });

    it("throws why a room is refused, each time", async () => {
      server.refused.add(ROOM);
      const room = client.investigation("inv-1");
      await assert.rejects(take(room, 1), { code: "FORBIDDEN" });
      await assert.rejects(take(room, 1), { code: "FORBIDDEN" });
      server.refused.clear();
      const taken = take(room, 1);
      await room.ready;
      say(1);
      assert.deepEqual(await taken, [1]);
    });

    it("ends at once over a closed handle, and is refused by a closed client", async () => {
      const [room, other] = [speaking("inv-1"), client.investigation("inv-2")];
      await take(room, 1);
      other.close();
      assert.deepEqual(await take(other, 1), []);
      await client.close();
      await assert.rejects(take(room, 1), { code: "CLOSED" });
    });
  });
}

describe("a loop over a chat", () => {
  it("leaves the chat to what else is done in it, until its handle is closed", async () => {
    server = new FakeServer();
    client = createClient({ url: "http://realtime.test", getToken: () => "a.b.c", WebSocket: server.WebSocket });
    const chat = client.chat("s-1");
    await chat.ready();
    const answer = chat.send("Quem?", { id: "q-1" });
    await answer.sent;
    const taken = (async () => {
      for await (const message of chat) return message.type;
      return undefined;
    })();
    server.publish("chat:s-1", "notification", {});
    assert.equal(await taken, "notification");
    await linger();
    const end = { status: "completed", role: "assistant", content: "Ana", message_id: "a-1", reply_to: "q-1" };
    server.publish("chat:s-1", "chat_complete", end);
    assert.equal((await answer.done).text, "Ana");
    chat.close();
    await until(() => !server.open.some(({ path }) => path.endsWith("/s-1")), "the chat is closed");
    await client.close();
  });
});
