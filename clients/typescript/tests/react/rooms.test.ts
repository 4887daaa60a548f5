import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { createClient, type Message } from "../../src/index.ts";
import {
  RealtimeProvider,
  useChat,
  useConnection,
  useInvestigation,
  useNotifications,
  useRoom,
} from "../../src/react/index.ts";
import { act, Page, strict, until } from "./support/page.ts";
import { options, Probe, provided } from "./support/probe.ts";
import { FakeServer } from "./support/server.ts";

const ROOM = "investigation:inv-1";
const numbers = (messages: readonly Message[]) => messages.map(({ data }) => (data as { n: number }).n);
const items = (count: number, from = 1) => Array.from({ length: count }, (_, index) => ({ n: from + index }));

/** How many messages were shown, change by change. */
const sizes = ({ seen }: Probe<{ messages: readonly Message[] }>) =>
  seen.map(({ messages }) => messages.length).filter((size, index, all) => size !== all[index - 1]);

describe("useRoom", () => {
  it("opens one socket and one subscription when StrictMode mounts twice", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useRoom("investigation", "inv-1"));
    await using _page = await Page.show(strict(provided(server, probe.element())));
    await until(() => probe.now.status === "live", "the room is live");
    assert.equal(server.sockets.length, 1);
    assert.equal(server.heard("subscribe").length, 1);
    assert.equal(server.heard("unsubscribe").length, 0);
  });

  it("shows a replay of 1,000 messages, page by page, in one commit", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useRoom("investigation", "inv-1", { limit: 1_000 }));
    await using _page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.status === "live", "the room is live");
    server.drop();
    const missed = server.make(ROOM, "news", items(1_000));
    await until(() => probe.now.messages.length === 1_000, "all are shown");
    assert.deepEqual(numbers(probe.now.messages), numbers(missed as never));
    assert.deepEqual(sizes(probe), [0, 1_000]);
  });

  it("shows something of a replay that does not end", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useRoom("investigation", "inv-1"));
    await using _page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.status === "live", "the room is live");
    let n = 0;
    const more = setInterval(() => server.publish(ROOM, "news", { n: ++n }), 5);
    await until(() => probe.now.messages.length > 1, "some are shown");
    clearInterval(more);
    await until(() => probe.now.messages.length === n, "all are shown");
  });

  it("shows a replay of many seconds now and then, and not frame by frame", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useRoom("investigation", "inv-1"));
    await using _page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.status === "live", "the room is live");
    const before = probe.seen.length;
    const more = setInterval(() => server.publish(ROOM, "news", ...items(100)), 5);
    await until(() => probe.seen.length > before, "some are shown");
    const shown = server.seq(ROOM);
    await until(() => probe.seen.length > before + 2, "more are shown");
    clearInterval(more);
    const pages = (server.seq(ROOM) - shown) / 100;
    assert.ok(pages > 15, `${pages} pages in two commits`);
  });

  it("keeps as many messages as it is told, and the newest", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useRoom("investigation", "inv-1", { limit: 3 }));
    await using _page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.status === "live", "the room is live");
    server.publish(ROOM, "news", ...items(5));
    await until(() => probe.now.messages.length > 0, "messages are shown");
    assert.deepEqual(numbers(probe.now.messages), [3, 4, 5]);
  });

  it("gives each component the limit it asked for, over one subscription", async () => {
    const server = new FakeServer();
    const few = new Probe(() => useRoom("investigation", "inv-1", { limit: 1 }));
    const many = new Probe(() => useRoom("investigation", "inv-1", { limit: 10 }));
    await using _page = await Page.show(provided(server, few.element(), many.element()));
    await until(() => many.now.status === "live", "the room is live");
    server.publish(ROOM, "news", ...items(4));
    await until(() => many.now.messages.length === 4, "all are shown");
    assert.deepEqual(numbers(few.now.messages), [4]);
    assert.equal(server.heard("subscribe").length, 1);
  });

  it("keeps the same objects while nothing changes", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useRoom("investigation", "inv-1"));
    const tree = () => provided(server, probe.element());
    await using page = await Page.show(tree());
    await until(() => probe.now.status === "live", "the room is live");
    const before = probe.now;
    await page.show(tree());
    assert.equal(probe.now, before);
  });

  it("gives the room back after it was unmounted, and leaves once the provider is gone", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useRoom("investigation", "inv-1"));
    await using page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.status === "live", "the room is live");
    await page.show(provided(server));
    await until(() => server.heard("unsubscribe").length === 1, "the room is given back");
    assert.equal(server.open.length, 1);
    await page.leave();
    await until(() => server.open.length === 0, "the socket is closed");
  });

  it("shows what it had when it is put back at once", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useRoom("investigation", "inv-1"));
    const element = (key: string) => provided(server, createElement(probe.Component, { key }));
    await using page = await Page.show(element("one"));
    await until(() => probe.now.status === "live", "the room is live");
    server.publish(ROOM, "news", ...items(2));
    await until(() => probe.now.messages.length === 2, "messages are shown");
    const before = probe.seen.length;
    await page.show(element("two"));
    assert.ok(probe.seen.slice(before).every(({ messages, status }) => messages.length === 2 && status === "live"));
    assert.equal(server.heard("subscribe").length, 1);
  });

  it("hears the other room, and only that, when the id changes", async () => {
    const server = new FakeServer();
    const probe = new Probe(({ id }: { id: string }) => useRoom("investigation", id));
    await using page = await Page.show(provided(server, probe.element({ id: "inv-1" })));
    await until(() => probe.now.status === "live", "the first room is live");
    server.publish(ROOM, "news", { n: 1 });
    await until(() => probe.now.messages.length === 1, "the message is shown");
    await page.show(provided(server, probe.element({ id: "inv-2" })));
    assert.deepEqual(probe.now.messages, []);
    await until(() => probe.now.status === "live", "the second room is live");
    server.publish(ROOM, "news", { n: 2 });
    server.publish("investigation:inv-2", "news", { n: 3 });
    await until(() => probe.now.messages.length === 1, "the message is shown");
    assert.deepEqual(numbers(probe.now.messages), [3]);
    assert.equal(server.sockets.length, 1);
  });

  it("hears nothing without an id", async () => {
    const server = new FakeServer();
    const probe = new Probe(({ id }: { id: string | null }) => useRoom("analysis", id));
    await using page = await Page.show(provided(server, probe.element({ id: null })));
    assert.equal(probe.now.status, "closed");
    assert.equal(server.sockets.length, 0);
    await page.show(provided(server, probe.element({ id: "ana-7" })));
    await until(() => probe.now.status === "live", "the room is live");
  });

  it("says that an id is none instead of throwing", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useRoom("investigation", "a/b"));
    await using _page = await Page.show(provided(server, probe.element()));
    assert.equal(probe.now.status, "refused");
    assert.equal(probe.now.error?.code, "INVALID_ID");
  });

  it("tells a callback of the newest render each message once", async () => {
    const server = new FakeServer();
    const told: string[] = [];
    const probe = new Probe(({ name }: { name: string }) =>
      useRoom("investigation", "inv-1", { onMessage: ({ data }) => told.push(`${name} ${(data as { n: number }).n}`) }),
    );
    await using page = await Page.show(strict(provided(server, probe.element({ name: "old" }))));
    await until(() => probe.now.status === "live", "the room is live");
    await act(async () => server.publish(ROOM, "news", { n: 1 }));
    await page.show(strict(provided(server, probe.element({ name: "new" }))));
    await act(async () => server.publish(ROOM, "news", { n: 2 }));
    assert.deepEqual(told, ["old 1", "new 2"]);
  });

  it("tells every component of a message, whatever another one throws", async ({ mock }) => {
    const server = new FakeServer();
    const thrown: unknown[] = [];
    const told: string[] = [];
    const first = new Probe(() =>
      useRoom("investigation", "inv-1", {
        onMessage: () => {
          throw new Error("mine");
        },
      }),
    );
    const second = new Probe(() => useRoom("investigation", "inv-1", { onMessage: ({ type }) => told.push(type) }));
    await using _page = await Page.show(provided(server, first.element(), second.element()));
    await until(() => second.now.status === "live", "the room is live");
    const later = mock.method(globalThis, "queueMicrotask", (task: () => void) => {
      try {
        task();
      } catch (error) {
        thrown.push(String(error));
      }
    });
    server.publish(ROOM, "news", { n: 1 });
    later.mock.restore();
    assert.deepEqual([told, thrown], [["news"], ["Error: mine"]]);
  });

  it("loads the history once it is live, before what comes, each message once", async () => {
    const server = new FakeServer();
    const past = server.make(ROOM, "news", items(3)) as unknown as Message[];
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<Message[]>();
    let loads = 0;
    const history = () => {
      loads += 1;
      asked.resolve();
      return answered.promise;
    };
    const probe = new Probe(() => useRoom("investigation", "inv-1", { history }));
    await using _page = await Page.show(strict(provided(server, probe.element())));
    await asked.promise;
    server.publish(ROOM, "news", { n: 4 });
    await until(() => probe.now.messages.length === 1, "what is new is shown");
    answered.resolve([...past, ...probe.now.messages]);
    await until(() => probe.now.messages.length === 4, "the history is shown");
    assert.deepEqual(numbers(probe.now.messages), [1, 2, 3, 4]);
    assert.equal(loads, 1);
  });

  it("says that messages are lost, and shows the history that it then loads", async () => {
    const server = new FakeServer();
    let past: Message[] = [];
    const lost: number[] = [];
    const probe = new Probe(() =>
      useRoom("investigation", "inv-1", { history: async () => past, onReset: ({ cursor }) => lost.push(cursor.seq) }),
    );
    await using _page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.status === "live", "the room is live");
    server.publish(ROOM, "news", { n: 1 });
    await until(() => probe.now.messages.length === 1, "the message is shown");
    past = server.make(ROOM, "news", items(4, 2)) as unknown as Message[];
    server.recovers = false;
    server.drop();
    await until(() => probe.now.messages.length === 4, "the history is shown");
    assert.deepEqual(numbers(probe.now.messages), [2, 3, 4, 5]);
    assert.deepEqual(lost, [5]);
    assert.equal(probe.now.lost?.cursor.seq, 5);
  });
});

describe("useInvestigation", () => {
  it("finds anomalies and progress among the messages", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useInvestigation("inv-1"));
    await using _page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.status === "live", "the room is live");
    server.publish(ROOM, "anomaly_detected", { severity: "high", description: "Contrato 42" });
    server.publish(ROOM, "investigation_progress", { progress: 0.25 }, { progress: 0.5 }, { message: "…" });
    await until(() => probe.now.messages.length === 4, "all are shown");
    assert.deepEqual(
      probe.now.anomalies.map(({ data }) => data.description),
      ["Contrato 42"],
    );
    assert.equal(probe.now.progress, 0.5);
  });
});

describe("useConnection", () => {
  it("shows the connection without opening it, and opens it when told", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => useConnection());
    await using _page = await Page.show(strict(provided(server, probe.element())));
    assert.equal(probe.now.status, "idle");
    assert.equal(server.sockets.length, 0);
    const { connect } = probe.now;
    await act(async () => connect());
    await until(() => probe.now.isConnected, "it is connected");
    assert.equal(probe.now.connect, connect);
    await act(async () => probe.now.disconnect());
    await until(() => probe.now.status === "idle", "it has left");
  });

  it("shows that the network is gone, and that it is back", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => ({ connection: useConnection(), room: useRoom("analysis", "ana-1") }));
    await using _page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.connection.isConnected, "it is connected");
    server.isUp = false;
    server.drop();
    await until(() => probe.now.connection.status === "waiting", "it waits");
    server.isUp = true;
    await until(() => probe.now.room.status === "live" && probe.now.connection.isConnected, "it is back");
  });
});

describe("useNotifications", () => {
  it("shows what was missed in one commit", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => ({ ...useNotifications({ limit: 1_000 }), connection: useConnection() }));
    await using _page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.connection.isConnected, "it is connected");
    server.drop();
    server.make("user:ana", "report_ready", items(1_000));
    await until(() => probe.now.notifications.length === 1_000, "all are shown");
    const shown = probe.seen.map(({ notifications }) => notifications.length);
    assert.deepEqual([...new Set(shown)], [0, 1_000]);
  });

  it("shows what is for the user and for everybody, and not what is of rooms", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => ({ ...useNotifications({ limit: 2 }), room: useRoom("investigation", "inv-1") }));
    await using _page = await Page.show(strict(provided(server, probe.element())));
    await until(() => probe.now.room.status === "live", "the room is live");
    server.publish("user:ana", "report_ready", { n: 1 }, { n: 2 });
    server.publish(ROOM, "news", { n: 3 });
    server.publish("system:all", "system_notification", { n: 4 });
    await until(() => probe.now.notifications.length === 2, "they are shown");
    assert.deepEqual(numbers(probe.now.notifications), [2, 4]);
    const [first] = probe.now.notifications;
    await act(async () => probe.now.dismiss(first?.id ?? ""));
    assert.deepEqual(numbers(probe.now.notifications), [4]);
    await act(async () => probe.now.clear());
    assert.deepEqual(probe.now.notifications, []);
  });
});

function App() {
  const { status } = useConnection();
  const { messages } = useInvestigation("inv-1");
  const { notifications } = useNotifications();
  return createElement("p", null, `${status} ${messages.length} ${notifications.length}`);
}

describe("RealtimeProvider", () => {
  it("renders on a server and opens nothing there", () => {
    const server = new FakeServer();
    let asked = 0;
    const getToken = () => {
      asked += 1;
      return "a.b.c";
    };
    const tree = createElement(RealtimeProvider, { ...options(server), getToken }, createElement(App));
    assert.equal(renderToString(tree), "<p>idle 0 0</p>");
    assert.equal(server.sockets.length, 0);
    assert.equal(asked, 0);
  });

  it("takes over what a server has rendered, and then connects", async () => {
    const server = new FakeServer();
    const tree = provided(server, createElement(App));
    await using page = await Page.hydrate(renderToString(tree), tree);
    await until(() => page.text.startsWith("connected"), "it is connected");
    assert.equal(server.sockets.length, 1);
  });

  it("asks the newest getToken, and keeps the client when it changes", async () => {
    const server = new FakeServer();
    const asked: string[] = [];
    const tree = (name: string) => {
      const getToken = () => {
        asked.push(name);
        return "a.b.c";
      };
      return createElement(RealtimeProvider, { ...options(server), getToken }, createElement(App));
    };
    await using page = await Page.show(tree("first"));
    await until(() => page.text.startsWith("connected"), "it is connected");
    await page.show(tree("second"));
    for (const socket of server.open) {
      socket.receive(server.frame("token_expiring", { expires_at: new Date().toISOString(), expires_in_ms: 30_000 }));
    }
    await until(() => asked.includes("second"), "the second is asked");
    assert.deepEqual(asked, ["first", "second"]);
    assert.equal(server.sockets.length, 1);
  });

  it("does not close a client that was made elsewhere", async () => {
    const server = new FakeServer();
    await using client = createClient(options(server));
    const page = await Page.show(createElement(RealtimeProvider, { client }, createElement(App)));
    await until(() => client.state.status === "connected", "it is connected");
    await page.leave();
    await until(() => server.heard("unsubscribe").length === 1, "the room is given back");
    assert.equal(client.state.status, "connected");
  });

  it("shares what it shows with other providers of the same client", async () => {
    const server = new FakeServer();
    await using client = createClient(options(server));
    const [one, two] = [new Probe(() => useChat("s-1")), new Probe(() => useChat("s-1"))];
    const provider = (probe: Probe<unknown>, key: string) =>
      createElement(RealtimeProvider, { client, key }, probe.element());
    await using _page = await Page.show([provider(one, "one"), provider(two, "two")]);
    await until(() => one.now.connection.status === "connected", "it is connected");
    await act(async () => {
      one.now.send("Olá", { ask: false });
    });
    await until(() => two.now.messages.length === 1, "what is said below one is shown below the other");
    assert.equal(server.sockets.length, 1);
  });

  it("leaves no connection behind when it is used after it was unmounted", async () => {
    const server = new FakeServer();
    const probe = new Probe(() => ({ ...useConnection(), chat: useChat("s-1") }));
    const page = await Page.show(provided(server, probe.element()));
    await until(() => probe.now.chat.connection.status === "connected", "it is connected");
    await page.leave();
    await until(() => server.open.length === 0, "all is closed");
    probe.now.connect();
    probe.now.chat.send("Olá", { ask: false });
    await until(() => server.open.length === 2, "it is connected once more");
    await until(() => server.open.length === 0, "all is closed again");
    assert.equal(server.heard("chat").length, 1);
  });

  it("says what is missing when a hook has no provider", () => {
    assert.throws(() => renderToString(createElement(App)), /RealtimeProvider/);
  });
});
