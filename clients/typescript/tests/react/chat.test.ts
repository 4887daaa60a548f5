import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import type { Message } from "../../src/index.ts";
import { type ChatEntry, type UseChatOptions, useChat, usePresence } from "../../src/react/index.ts";
import { act, Page, strict, until } from "./support/page.ts";
import { Probe, provided } from "./support/probe.ts";
import { FakeServer } from "./support/server.ts";

const ROOM = "chat:s-1";

/** A chat on a page, connected. */
async function open(server: FakeServer, options: UseChatOptions = {}) {
  const probe = new Probe(() => useChat("s-1", options));
  const page = await Page.show(strict(provided(server, probe.element())));
  await until(() => probe.now.connection.status === "connected", "the chat is connected");
  return { probe, page, [Symbol.asyncDispose]: () => page.leave() };
}

/** What is shown, in short. */
const shown = (entries: readonly ChatEntry[]) =>
  entries.map((entry) => {
    if (entry.kind === "said") return `${entry.isOwn ? "me" : entry.userId}: ${entry.text} (${entry.status})`;
    if (entry.kind === "answer") return `agent: ${entry.text} (${entry.status})`;
    return entry.kind === "file" ? `file ${entry.file.name}` : entry.message.type;
  });

const chunk = (content: string, more: object = {}) => ({
  role: "assistant",
  content,
  chunk: true,
  message_id: "a-1",
  reply_to: "q-1",
  agent_id: "zumbi",
  agent_name: "Zumbi",
  ...more,
});

const complete = (content: string, more: object = {}) => ({
  status: "completed",
  role: "assistant",
  content,
  message_id: "a-1",
  reply_to: "q-1",
  ...more,
});

function App() {
  const { messages, connection } = useChat("s-1");
  return createElement("p", null, `${connection.status} ${messages.length} ${usePresence("s-1").count}`);
}

/** A chat in which an answer is on its way, and its component is gone. */
async function leftWhileAnswering(server: FakeServer) {
  const chat = await open(server);
  await act(async () => {
    chat.probe.now.send("Quem?", { id: "q-1" });
  });
  await until(() => chat.probe.now.messages.length === 2, "the answer is waited for");
  server.tell(ROOM, "chat", chunk("Foi "));
  await until(() => shown(chat.probe.now.messages)[1] === "agent: Foi  (answering)", "it has begun");
  await chat.page.show(strict(provided(server)));
  return { ...chat, comeBack: () => chat.page.show(strict(provided(server, chat.probe.element()))) };
}

describe("useChat", () => {
  it("opens one socket when StrictMode mounts twice, and closes it after it was unmounted", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    assert.deepEqual(
      server.sockets.map(({ path }) => path),
      ["/api/v1/ws/chat/s-1"],
    );
    await chat.page.show(strict(provided(server)));
    await until(() => server.open.length === 0, "the socket is closed");
  });

  it("shows what is said here at once, and marks it when it has arrived", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    const { send } = chat.probe.now;
    await act(async () => {
      send("Olá", { id: "q-1", ask: false });
    });
    const first = chat.probe.seen.find(({ messages }) => messages.length > 0);
    assert.deepEqual(shown(first?.messages ?? []), ["me: Olá (sending)"]);
    await until(() => shown(chat.probe.now.messages)[0] === "me: Olá (sent)", "it has arrived");
    assert.equal(chat.probe.now.messages[0]?.seq, 1);
    assert.equal(chat.probe.now.send, send);
  });

  it("keeps what was said offline, and sends it once the connection is back", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    server.isUp = false;
    await act(async () => server.drop());
    await act(async () => {
      chat.probe.now.send("Olá", { id: "q-1", ask: false });
    });
    assert.deepEqual(shown(chat.probe.now.messages), ["me: Olá (sending)"]);
    server.isUp = true;
    await until(() => shown(chat.probe.now.messages)[0] === "me: Olá (sent)", "it has arrived");
    assert.equal(server.heard("chat").length, 1);
  });

  it("shows an answer as it grows, under one key, until its end replaces it", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    await act(async () => {
      chat.probe.now.send("Quem?", { id: "q-1" });
    });
    await until(() => chat.probe.now.messages.length === 2, "the answer is waited for");
    assert.deepEqual(shown(chat.probe.now.messages), ["me: Quem? (sent)", "agent:  (waiting)"]);
    const key = chat.probe.now.messages[1]?.key;
    const said = chat.probe.now.messages[0];
    assert.equal(chat.probe.now.isAnswering, true);
    const typing = { agent: "processing", isTyping: true, message_id: "a-1", reply_to: "q-1", stage: "thinking" };
    await act(async () => server.tell(ROOM, "typing", typing));
    const stage = () => chat.probe.now.messages[1]?.kind === "answer" && chat.probe.now.messages[1].stage;
    await until(() => Object(stage()).name === "thinking", "the stage is shown");
    for (const text of ["Foi ", "a ", "Ana"]) server.tell(ROOM, "chat", chunk(text));
    await until(() => shown(chat.probe.now.messages)[1] === "agent: Foi a Ana (answering)", "all pieces are shown");
    server.publish(ROOM, "chat_complete", complete("Foi a Ana.", { suggested_actions: ["Mais"] }));
    await until(() => shown(chat.probe.now.messages)[1] === "agent: Foi a Ana. (completed)", "the end is shown");
    const answer = chat.probe.now.messages[1];
    assert.ok(answer?.kind === "answer");
    assert.deepEqual(answer.agent, { id: "zumbi", name: "Zumbi" });
    assert.deepEqual(answer.data.suggested_actions, ["Mais"]);
    assert.equal(answer.key, key);
    assert.equal(chat.probe.now.messages[0], said, "what has not changed is the same object");
    assert.equal(chat.probe.now.isAnswering, false);
  });

  it("shows many pieces of one moment in one commit", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    server.tell(ROOM, "chat", chunk("0"));
    await until(() => chat.probe.now.messages.length === 1, "the answer has begun");
    const before = chat.probe.seen.length;
    for (let piece = 0; piece < 500; piece += 1) server.tell(ROOM, "chat", chunk("1"));
    await until(() => shown(chat.probe.now.messages)[0]?.includes("1"), "pieces are shown");
    assert.deepEqual(shown(chat.probe.now.messages), [`agent: 0${"1".repeat(500)} (answering)`]);
    // StrictMode renders each commit twice.
    assert.equal(chat.probe.seen.length, before + 2);
  });

  it("leaves an answer where it began when others speak meanwhile", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    server.publish(ROOM, "chat", { role: "user", content: "Quem?", user_id: "bia" });
    server.tell(ROOM, "chat", chunk("Foi"));
    server.publish(ROOM, "chat", { role: "user", content: "Hm", user_id: "caio" });
    server.publish(ROOM, "chat_complete", complete("Foi a Ana."));
    await until(() => chat.probe.now.messages.length === 3, "all are shown");
    assert.deepEqual(shown(chat.probe.now.messages), [
      "bia: Quem? (sent)",
      "agent: Foi a Ana. (completed)",
      "caio: Hm (sent)",
    ]);
  });

  it("stops an answer", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    await act(async () => {
      chat.probe.now.send("Quem?", { id: "q-1" });
    });
    await until(() => chat.probe.now.messages.length === 2, "the answer is waited for");
    server.tell(ROOM, "chat", chunk("Foi"));
    await until(() => shown(chat.probe.now.messages)[1] === "agent: Foi (answering)", "it has begun");
    await act(async () => chat.probe.now.cancel());
    assert.deepEqual(shown(chat.probe.now.messages)[1], "agent: Foi (cancelled)");
    await until(() => server.heard("chat_cancel").length === 1, "the server is told");
  });

  it("takes back what has not gone out", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    server.isUp = false;
    await act(async () => server.drop());
    await act(async () => {
      chat.probe.now.send("Quem?", { id: "q-1" });
    });
    await act(async () => chat.probe.now.cancel("q-1"));
    await until(() => shown(chat.probe.now.messages)[0] === "me: Quem? (cancelled)", "it is taken back");
    assert.equal(chat.probe.now.messages.length, 1);
    assert.equal(chat.probe.now.isAnswering, false);
  });

  it("shows why an answer failed", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    await act(async () => {
      chat.probe.now.send("Quem?", { id: "q-1" });
    });
    await until(() => chat.probe.now.messages.length === 2, "the answer is waited for");
    const error = { code: "AGENT_TIMEOUT", message: "The agent was silent." };
    server.publish(ROOM, "chat_complete", complete("", { status: "failed", error }));
    await until(() => shown(chat.probe.now.messages)[1] === "agent:  (failed)", "the failure is shown");
    const answer = chat.probe.now.messages[1];
    assert.equal(answer?.kind === "answer" && answer.error?.code, "AGENT_TIMEOUT");
  });

  it("sends again under the same id what has failed", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    await act(async () => chat.probe.now.disconnect());
    await act(async () => {
      chat.probe.now.send("Quem?", { id: "q-1", ask: false });
    });
    await act(async () => chat.probe.now.cancel("q-1"));
    await until(() => shown(chat.probe.now.messages)[0] === "me: Quem? (cancelled)", "it is taken back");
    await act(async () => {
      chat.probe.now.resend("q-1");
      chat.probe.now.connect();
    });
    await until(() => shown(chat.probe.now.messages)[0] === "me: Quem? (sent)", "it has arrived");
    assert.deepEqual(
      server.heard("chat").map(({ id }) => id),
      ["q-1"],
    );
  });

  it("loads the history before what is said, each entry once, and knows whose it is", async () => {
    const server = new FakeServer();
    const [question] = server.make(ROOM, "chat", [{ role: "user", content: "Quem?", user_id: "ana" }]);
    const [answer] = server.make(ROOM, "chat_complete", [complete("Foi a Ana.", { reply_to: question?.id })]);
    const file = {
      file_id: "f",
      name: "nota.pdf",
      size: 3,
      content_type: "application/pdf",
      user_id: "bia",
      url: "/f",
    };
    const past = [question, answer, ...server.make(ROOM, "file", [file])] as unknown as Message[];
    await using chat = await open(server, { history: async () => past, userId: "ana" });
    await until(() => chat.probe.now.messages.length === 3, "the history is shown");
    server.batch([past[1]] as never);
    server.publish(ROOM, "chat", { role: "user", content: "Ah", user_id: "bia" });
    await until(() => chat.probe.now.messages.length === 4, "what is new is shown");
    assert.deepEqual(shown(chat.probe.now.messages), [
      "me: Quem? (sent)",
      "agent: Foi a Ana. (completed)",
      "file nota.pdf",
      "bia: Ah (sent)",
    ]);
  });

  it("keeps what was said here as its own when another connection brings it back", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    await act(async () => {
      chat.probe.now.send("Olá", { id: "q-1", ask: false });
    });
    await until(() => shown(chat.probe.now.messages)[0] === "me: Olá (sent)", "it has arrived");
    const data = { role: "user", content: "Olá", user_id: "ana" };
    server.batch([{ ...server.frame("chat", data, { room: ROOM, seq: 1 }), id: "q-1" }]);
    server.publish(ROOM, "chat", { ...data, content: "Oi", user_id: "bia" });
    await until(() => chat.probe.now.messages.length === 2, "the next is shown");
    assert.deepEqual(shown(chat.probe.now.messages), ["me: Olá (sent)", "bia: Oi (sent)"]);
  });

  it("forgets the oldest beyond the limit, but nothing that is under way", async () => {
    const server = new FakeServer();
    await using chat = await open(server, { limit: 2 });
    server.tell(ROOM, "chat", chunk("Foi"));
    for (const content of ["1", "2", "3"]) server.publish(ROOM, "chat", { role: "user", content, user_id: "bia" });
    await until(() => chat.probe.now.messages.length > 0, "they are shown");
    assert.deepEqual(shown(chat.probe.now.messages), ["agent: Foi (answering)", "bia: 3 (sent)"]);
  });

  it("shows who is typing, who is there, and the title", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    assert.equal(chat.probe.now.presence.count, 1);
    server.tell(ROOM, "typing", { user_id: "bia", isTyping: true, expires_in_ms: 6_000 });
    server.tell(ROOM, "session_updated", { session_id: "s-1", title: "Contratos" });
    for (const socket of server.open) {
      socket.receive(server.frame("presence", { room: ROOM, count: 2, joined: [{ user_id: "bia" }] }));
    }
    await until(() => chat.probe.now.presence.count === 2, "bia is there");
    await until(() => chat.probe.now.typing.includes("bia"), "bia is typing");
    assert.equal(chat.probe.now.title, "Contratos");
    assert.deepEqual(shown(chat.probe.now.messages), []);
  });

  it("is one chat for all components that name it", async () => {
    const server = new FakeServer();
    const list = new Probe(() => useChat("s-1"));
    const composer = new Probe(() => useChat("s-1"));
    const people = new Probe(() => usePresence("s-1"));
    await using _page = await Page.show(strict(provided(server, list.element(), composer.element(), people.element())));
    await until(() => people.now.isThere("ana"), "ana is there");
    await act(async () => {
      composer.now.send("Olá", { ask: false });
    });
    assert.equal(list.now.messages.length, 1);
    assert.equal(server.sockets.length, 1);
  });

  it("shows the other session, and nothing of the first, when the id changes", async () => {
    const server = new FakeServer();
    const probe = new Probe(({ id }: { id: string }) => useChat(id));
    await using page = await Page.show(provided(server, probe.element({ id: "s-1" })));
    await until(() => probe.now.connection.status === "connected", "the first is connected");
    await act(async () => {
      probe.now.send("Olá", { ask: false });
    });
    await page.show(provided(server, probe.element({ id: "s-2" })));
    assert.deepEqual(probe.now.messages, []);
    await until(() => server.open.length === 1 && server.open[0]?.path.endsWith("/s-2"), "only the second is open");
  });

  it("shows what was missed in one commit", async () => {
    const server = new FakeServer();
    await using chat = await open(server, { limit: 1_000 });
    server.drop();
    const said = Array.from({ length: 1_000 }, (_, n) => ({ role: "user", content: `${n}`, user_id: "bia" }));
    server.make(ROOM, "chat", said);
    await until(() => chat.probe.now.messages.length === 1_000, "all are shown");
    assert.deepEqual([...new Set(chat.probe.seen.map(({ messages }) => messages.length))], [0, 1_000]);
  });

  it("shows question and answer again to who comes back while the connection is still there", async () => {
    const server = new FakeServer();
    await using chat = await leftWhileAnswering(server);
    await sleep(1_500);
    await chat.comeBack();
    assert.equal(chat.probe.now.isAnswering, true);
    const both = ["me: Quem? (sent)", "agent: Foi  (answering)"];
    await until(() => String(shown(chat.probe.now.messages)) === String(both), "both are shown");
    server.tell(ROOM, "chat", chunk("a Ana"));
    server.publish(ROOM, "chat_complete", complete("Foi a Ana."));
    await until(() => !chat.probe.now.isAnswering, "the end is shown");
    assert.deepEqual(shown(chat.probe.now.messages), ["me: Quem? (sent)", "agent: Foi a Ana. (completed)"]);
    assert.equal(server.heard("chat").length, 1);
  });

  it("shows question and answer again to who comes back over another connection, and asks nothing twice", async () => {
    const server = new FakeServer();
    await using chat = await leftWhileAnswering(server);
    await until(() => server.open.length === 0, "the socket is closed");
    await chat.comeBack();
    await until(() => chat.probe.now.connection.status === "connected", "it is connected again");
    server.tell(ROOM, "chat", chunk("Foi a", { snapshot: true }));
    const both = ["me: Quem? (sent)", "agent: Foi a (answering)"];
    await until(() => String(shown(chat.probe.now.messages)) === String(both), "both are shown");
    assert.equal(chat.probe.now.isAnswering, true);
    await act(async () => chat.probe.now.cancel());
    await until(() => server.heard("chat_cancel").length === 1, "the server is told");
    assert.deepEqual(
      server.heard("chat").map(({ id }) => id),
      ["q-1", "q-1"],
    );
    assert.equal(server.seq(ROOM), 1);
  });

  it("sends what was said offline once its component is there again", async () => {
    const server = new FakeServer();
    await using chat = await open(server);
    server.isUp = false;
    await act(async () => server.drop());
    await act(async () => {
      chat.probe.now.send("Olá", { id: "q-1", ask: false });
    });
    await chat.page.show(strict(provided(server)));
    await sleep(2_500);
    server.isUp = true;
    await chat.page.show(strict(provided(server, chat.probe.element())));
    await until(() => shown(chat.probe.now.messages)[0] === "me: Olá (sent)", "it has arrived");
    assert.equal(server.heard("chat").length, 1);
  });

  it("is answering on a page that was loaded in the middle of an answer, unless somebody else has asked", async () => {
    const server = new FakeServer();
    await using chat = await open(server, { userId: "ana" });
    server.tell(ROOM, "chat", chunk("Foi", { snapshot: true }));
    await until(() => chat.probe.now.messages.length === 1, "it is shown");
    assert.equal(chat.probe.now.isAnswering, true);
    await act(async () => chat.probe.now.cancel());
    await until(() => server.heard("chat_cancel").length === 1, "the server is told");
    const [question] = server.publish(ROOM, "chat", { role: "user", content: "E em 2024?", user_id: "bia" });
    server.tell(ROOM, "chat", chunk("Foi", { message_id: "a-2", reply_to: question?.id }));
    await until(() => chat.probe.now.messages.length === 3, "the other answer is shown");
    assert.equal(chat.probe.now.isAnswering, false);
  });

  it("renders on a server and opens nothing there", () => {
    const server = new FakeServer();
    assert.equal(renderToString(provided(server, createElement(App))), "<p>idle 0 0</p>");
    assert.equal(server.sockets.length, 0);
  });
});
