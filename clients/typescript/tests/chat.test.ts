import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import type { Answer, RealtimeError } from "../src/index.ts";
import { comeBack, FakeSocket, offlineClient, openChat, settle } from "./support/socket.ts";

const tick = (ms: number) => mock.timers.tick(ms);
const answerTo = (id: string) => ({ role: "assistant", message_id: `answer-${id}`, reply_to: id });
const withCode = (code: string) => (error: unknown) => (error as RealtimeError).code === code;

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

async function texts(answer: Answer): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of answer) pieces.push(piece);
  return pieces;
}

test("a question is asked with all that belongs to it, and its answer grows piece by piece", async () => {
  const { chat, socket } = await openChat();
  assert.equal(socket.url.href, "wss://realtime.example.org/api/v1/ws/chat/s?presence=true");
  const answer = chat.send("Quanto?", { id: "q1", agentId: "zumbi", context: { page: 1 } });
  assert.deepEqual(socket.take("chat"), [
    { type: "chat", id: "q1", data: { content: "Quanto?", context: { page: 1 }, agent_id: "zumbi" } },
  ]);
  assert.equal(answer.status, "sending");
  socket.say("ack", { id: "q1", room: "chat:s", seq: 1 });
  assert.deepEqual(await answer.sent, { seq: 1, duplicate: false });
  assert.equal(answer.status, "waiting");
  socket.publish("typing", { agent: "processing", isTyping: true, stage: "thinking", message: "…", ...answerTo("q1") });
  assert.deepEqual(answer.stage, { name: "thinking", message: "…" });
  const read = texts(answer);
  await settle();
  socket.publish("chat", { content: "Muito", chunk: true, ...answerTo("q1"), agent_id: "zumbi", agent_name: "Zumbi" });
  await settle();
  socket.publish("chat", { content: " mesmo", chunk: true, ...answerTo("q1") });
  assert.equal(answer.text, "Muito mesmo");
  assert.deepEqual(answer.agent, { id: "zumbi", name: "Zumbi" });
  assert.equal(answer.messageId, "answer-q1");
  assert.deepEqual(chat.answers, [answer]);
  await settle();
  socket.publish(
    "chat_complete",
    { status: "completed", content: "Muito mesmo.", ...answerTo("q1"), suggested_actions: ["a"] },
    2,
  );
  const result = await answer.done;
  assert.deepEqual([result.status, result.text, result.data.suggested_actions], ["completed", "Muito mesmo.", ["a"]]);
  assert.deepEqual(await read, ["Muito", " mesmo", "."]);
  assert.deepEqual(await texts(answer), ["Muito mesmo."], "who comes later gets all of it");
  assert.deepEqual(chat.answers, []);
});

test("an answer survives a break: the snapshot replaces, and what is new goes on", async () => {
  const { chat, socket } = await openChat();
  const answer = chat.send("?", { id: "q1" });
  socket.say("ack", { id: "q1", seq: 1 });
  const read = texts(answer);
  await settle();
  socket.publish("chat", { content: "Era uma", chunk: true, ...answerTo("q1") });
  await settle();
  const next = await comeBack(socket, tick);
  assert.deepEqual(next.take("chat"), [], "it is not asked again");
  next.publish("chat", { content: "Era uma vez", chunk: true, snapshot: true, ...answerTo("q1") });
  await settle();
  next.publish("chat", { content: " um rio", chunk: true, ...answerTo("q1") });
  await settle();
  next.publish("chat_complete", { status: "completed", content: "Era uma vez um rio", ...answerTo("q1") }, 2);
  assert.deepEqual(await read, ["Era uma", " vez", " um rio"]);
});

test("a question that was asked offline waits, and is asked once", async () => {
  const client = offlineClient();
  const chat = client.chat("s");
  const answer = chat.send("?", { id: "q1" });
  await settle();
  FakeSocket.last.welcome();
  assert.equal(FakeSocket.last.take("chat").length, 1);
  const next = await comeBack(FakeSocket.last, tick);
  assert.equal(next.take("chat").length, 1, "unconfirmed, so once more under its id");
  next.say("ack", { id: "q1", seq: 1, duplicate: false });
  await answer.sent;
  assert.deepEqual((await comeBack(next, tick)).take("chat"), []);
});

test("what is for the people only is done when it is sent", async () => {
  const { chat, socket } = await openChat();
  const answer = chat.send("Olá", { ask: false, id: "p1" });
  assert.deepEqual(socket.take("chat")[0]?.data, { content: "Olá", ask: false });
  socket.say("ack", { id: "p1", seq: 1 });
  assert.equal((await answer.done).status, "completed");
});

test("an answer that fails is rejected with its code, and so is a loop over it", async () => {
  const { chat, socket } = await openChat();
  const answer = chat.send("?", { id: "q1" });
  socket.say("ack", { id: "q1", seq: 1 });
  const error = { code: "AGENT_TIMEOUT", message: "It did not answer." };
  socket.publish("chat_complete", { status: "failed", content: "", error, ...answerTo("q1") }, 2);
  await assert.rejects(answer.done, withCode("AGENT_TIMEOUT"));
  await assert.rejects(texts(answer), withCode("AGENT_TIMEOUT"));
  assert.equal(answer.status, "failed");
});

test("a question that is refused is rejected, and nobody has to look", async () => {
  const { chat, socket } = await openChat();
  const answer = chat.send("?", { id: "q1" });
  socket.say("error", { code: "ID_TAKEN", message: "No.", retry: false, original_type: "chat", original_id: "q1" });
  await assert.rejects(answer.sent, withCode("ID_TAKEN"));
  await assert.rejects(answer.done, withCode("ID_TAKEN"));
  assert.throws(() => chat.send("?", { id: "a b" }), withCode("INVALID_ID"));
});

test("a signal stops an answer: here at once, there with the next connection at the latest", async () => {
  const { chat, socket } = await openChat();
  const controller = new AbortController();
  const answer = chat.send("?", { id: "q1", signal: controller.signal });
  socket.say("ack", { id: "q1", seq: 1 });
  socket.publish("chat", { content: "Era", chunk: true, ...answerTo("q1") });
  controller.abort();
  assert.deepEqual(socket.take("chat_cancel"), [{ type: "chat_cancel", data: { reply_to: "q1" } }]);
  const result = await answer.done;
  assert.deepEqual([result.status, result.text], ["cancelled", "Era"]);
  socket.publish("chat", { content: " uma", chunk: true, ...answerTo("q1") });
  assert.deepEqual([answer.text, chat.answers.length], ["Era", 0], "what comes late is nobody's");
  const next = await comeBack(socket, tick);
  assert.equal(next.take("chat_cancel").length, 1, "nobody has said that it was heard");
  next.publish("chat_complete", { status: "cancelled", content: "Era", ...answerTo("q1") }, 2);
  assert.deepEqual((await comeBack(next, tick)).take("chat_cancel"), []);
});

const cancelOf = (question: string) => ({ original_type: "chat_cancel", reply_to: question });

test("a cancellation that comes too late is not repeated", async () => {
  const { chat, socket } = await openChat();
  for (const [id, seq] of [["q1", 1] as const, ["q2", 2] as const]) {
    const answer = chat.send("?", { id });
    socket.say("ack", { id, seq });
    answer.cancel();
    answer.cancel();
    assert.equal(socket.take("chat_cancel").length, 1);
  }
  socket.say("error", { code: "NOT_FOUND", message: "No.", retry: false, ...cancelOf("q2") });
  const [repeated, ...others] = (await comeBack(socket, tick)).take("chat_cancel");
  assert.deepEqual([repeated?.data, others], [{ reply_to: "q1" }, []], "the other one is");
});

test("a cancellation that came too fast is repeated on the next connection", async () => {
  const { chat, socket } = await openChat();
  const answer = chat.send("?", { id: "q1" });
  socket.say("ack", { id: "q1", seq: 1 });
  answer.cancel();
  socket.say("error", { code: "RATE_LIMIT", message: "Slowly.", retry: true, ...cancelOf("q1") });
  assert.equal((await comeBack(socket, tick)).take("chat_cancel").length, 1);
});

test("a cancellation that came too fast is repeated on the same connection, until the answer has ended", async () => {
  const { chat, socket } = await openChat();
  const answer = chat.send("?", { id: "q1" });
  socket.say("ack", { id: "q1", seq: 1 });
  answer.cancel();
  socket.take("chat_cancel");
  const refuse = () =>
    socket.say("error", { code: "RATE_LIMIT", message: "", retry: true, retry_after_ms: 700, ...cancelOf("q1") });
  refuse();
  tick(700);
  assert.equal(socket.take("chat_cancel").length, 1);
  refuse();
  socket.publish("chat_complete", { status: "cancelled", content: "", ...answerTo("q1") }, 2);
  tick(700);
  assert.deepEqual(socket.take("chat_cancel"), []);
});

test("a cancellation that is refused is told, and not repeated", async () => {
  const { chat, socket } = await openChat();
  const codes: string[] = [];
  chat.on("@error", ({ code }) => codes.push(code));
  socket.publish("chat", { content: "Era uma", chunk: true, snapshot: true, ...answerTo("theirs") });
  chat.answers[0]?.cancel();
  socket.say("error", { code: "FORBIDDEN", message: "No.", retry: false, ...cancelOf("theirs") });
  assert.deepEqual(codes, ["FORBIDDEN"]);
  assert.deepEqual((await comeBack(socket, tick)).take("chat_cancel").length, 0);
});

test("the same id is the same question while it is under way, and may be asked again when it was taken back", async () => {
  const { chat, socket } = await openChat();
  const answer = chat.send("?", { id: "q1" });
  assert.equal(chat.send("?", { id: "q1" }), answer);
  assert.equal(socket.take("chat").length, 1);
  answer.cancel();
  const again = chat.send("?", { id: "q1" });
  socket.say("ack", { id: "q1", room: "chat:s", seq: 1 });
  socket.publish("chat", { content: "Era", chunk: true, snapshot: true, ...answerTo("q1") });
  assert.deepEqual([again.text, answer.status], ["Era", "cancelled"]);
});

test("a question that is taken back before it went out is never asked", async () => {
  const client = offlineClient();
  const chat = client.chat("s");
  const answer = chat.send("?", { id: "q1" });
  answer.cancel();
  assert.equal((await answer.done).status, "cancelled");
  await assert.rejects(answer.sent, withCode("CANCELLED"));
  await settle();
  FakeSocket.last.welcome();
  assert.deepEqual([FakeSocket.last.take("chat"), FakeSocket.last.take("chat_cancel")], [[], []]);
  const never = chat.send("?", { signal: AbortSignal.abort() });
  assert.equal((await never.done).status, "cancelled");
  assert.deepEqual(FakeSocket.last.take("chat"), []);
});

test("answers to others are told when they begin, and can be stopped", async () => {
  const { chat, socket } = await openChat();
  const begun: Answer[] = [];
  chat.on("@answer", (answer) => begun.push(answer));
  socket.publish("chat", { content: "Era uma", chunk: true, snapshot: true, ...answerTo("theirs") });
  socket.publish("chat", { content: " vez", chunk: true, ...answerTo("theirs") });
  assert.equal(begun.length, 1);
  assert.deepEqual([begun[0]?.isOwn, begun[0]?.id, begun[0]?.text], [false, "theirs", "Era uma vez"]);
  begun[0]?.cancel();
  assert.deepEqual(socket.take("chat_cancel")[0]?.data, { reply_to: "theirs" });
});

test("what is typed after the end begins no answer", async () => {
  const { chat, socket } = await openChat();
  socket.publish("typing", { agent: "processing", isTyping: false, ...answerTo("x") });
  assert.deepEqual(chat.answers, []);
});

test("when messages are lost, an answer under way is interrupted, and may begin anew", async () => {
  const { chat, socket } = await openChat();
  const answer = chat.send("?", { id: "q1" });
  socket.say("ack", { id: "q1", seq: 1 });
  socket.publish("chat", { content: "Era", chunk: true, ...answerTo("q1") });
  let resets = 0;
  chat.on("@reset", () => {
    resets += 1;
  });
  const next = await comeBack(socket, tick, { recovered: false, seq: 9 });
  assert.equal((await answer.done).status, "interrupted");
  assert.equal(resets, 1);
  next.publish("chat", { content: "Era uma", chunk: true, snapshot: true, ...answerTo("q1") });
  assert.equal(chat.answers[0]?.text, "Era uma");
});

test("a session that ends ends what waits, and its loops", async () => {
  const { chat, socket } = await openChat();
  const answer = chat.send("?", { id: "q1" });
  const loop = (async () => {
    for await (const _ of chat) assert.fail("nothing comes");
  })();
  const ended = assert.rejects(loop, withCode("SESSION_DELETED"));
  await settle();
  socket.say("error", { code: "SESSION_DELETED", message: "Gone.", retry: false });
  await assert.rejects(answer.done, withCode("SESSION_DELETED"));
  await ended;
  assert.equal(chat.state.status, "stopped");
});

test("a question that was asked before, and answered long ago, is answered from the log", async () => {
  const asked: string[] = [];
  const messages = [{ type: "chat_complete", data: { status: "completed", content: "42", ...answerTo("q1") } }];
  const { chat, socket } = await openChat({
    fetch: (async (url: string) => {
      asked.push(url);
      return new Response(JSON.stringify({ messages }));
    }) as typeof fetch,
  });
  const answer = chat.send("?", { id: "q1" });
  socket.say("ack", { id: "q1", seq: 3, duplicate: true });
  assert.equal((await answer.done).text, "42");
  assert.deepEqual(asked, ["https://realtime.example.org/api/v1/ws/chat/s/messages?since=3&limit=1000"]);
});

test("a full outbox says what it dropped", async () => {
  const client = offlineClient({ outbox: { maxFrames: 1, whenFull: "drop-oldest" } });
  const chat = client.chat("s");
  const dropped: unknown[] = [];
  chat.on("@dropped", (event) => dropped.push(event));
  const [first] = [chat.send("1", { id: "a" }), chat.send("2", { id: "b" })];
  await assert.rejects(first.sent, withCode("OUTBOX_FULL"));
  assert.deepEqual(dropped, [{ id: "a", type: "chat" }]);
});

test("who types is known until they stop, say something, or are silent", async () => {
  const { chat, socket } = await openChat();
  const seen: string[] = [];
  chat.on("@typing", (users) => seen.push(users.join("+")));
  socket.publish("typing", { user_id: "bia", isTyping: true, expires_in_ms: 6_000 });
  socket.publish("typing", { user_id: "caio", isTyping: true });
  socket.publish("typing", { user_id: "bia", isTyping: true, expires_in_ms: 6_000 });
  socket.publish("chat", { role: "user", content: "Olá", user_id: "bia" }, 1);
  tick(6_000);
  assert.deepEqual(seen, ["bia", "bia+caio", "caio", ""]);
  assert.deepEqual(chat.typing, []);
});

test("that one types oneself is said at most every 3 seconds, and when it ends", async () => {
  const { chat, socket } = await openChat();
  for (let keys = 0; keys < 10; keys += 1) {
    chat.setTyping();
    tick(400);
  }
  chat.setTyping(false);
  chat.setTyping(false);
  assert.deepEqual(
    socket.take("typing").map(({ data }) => data.isTyping),
    [true, true, false],
  );
  chat.setTyping();
  chat.send("done");
  chat.setTyping();
  assert.equal(socket.take("typing").length, 2, "after a message it is news again");
});

test("who types while the connection comes is seen to type, if that was not long ago", async () => {
  const { chat, socket } = await openChat();
  chat.setTyping();
  const next = await comeBack(socket, tick);
  assert.equal(next.take("typing").length, 1);
  chat.setTyping(false);
  assert.equal(next.take("typing").length, 1);
  const third = await comeBack(next, tick);
  chat.setTyping();
  assert.equal(third.take("typing").length, 1, "of who did not type, nothing was said");
  tick(6_000);
  assert.deepEqual((await comeBack(third, tick)).take("typing"), []);
});

test("who is there: a snapshot replaces, a change changes, an update is neither leaving nor joining", async () => {
  const { chat, socket } = await openChat();
  const counts: number[] = [];
  chat.on("@presence", ({ count }) => counts.push(count));
  const next = await comeBack(socket, tick, {
    presence: { count: 2, users: [{ user_id: "ana" }, { user_id: "bia" }] },
  });
  next.say("presence", { room: "chat:s", count: 2, joined: [{ user_id: "caio", state: { at: 1 } }], left: ["bia"] });
  next.say("presence", {
    room: "chat:s",
    count: 2,
    updated: [{ user_id: "ana", state: { at: 2 } }, { user_id: "nobody" }],
  });
  assert.deepEqual(chat.presence, {
    count: 2,
    users: [
      { user_id: "ana", state: { at: 2 } },
      { user_id: "caio", state: { at: 1 } },
    ],
  });
  next.say("presence", { room: "chat:s", count: 300 });
  assert.deepEqual(chat.presence, { count: 300, users: [] });
  assert.deepEqual(counts, [2, 2, 2, 300]);
});

test("what the session is called is known from the welcome, and each change is told", async () => {
  const { chat, socket } = await openChat();
  const titles: (string | undefined)[] = [];
  chat.on("@title", (title) => titles.push(title));
  assert.equal(chat.title, undefined);
  socket.publish("session_updated", { session_id: "s", title: "Quanto custou?" });
  socket.publish("session_updated", { session_id: "s", title: 7 });
  const next = await comeBack(socket, tick, { title: "Merenda" });
  assert.deepEqual([chat.title, titles], ["Merenda", ["Quanto custou?", "Merenda"]]);
  await comeBack(next, tick);
  assert.equal(chat.title, undefined, "the session was deleted meanwhile");
});

test("what is shown in presence is said again after a break", async () => {
  const { chat, socket } = await openChat();
  chat.setPresence({ page: 1 });
  chat.setPresence({ page: 2 });
  assert.equal(socket.take("presence").length, 2);
  const next = await comeBack(socket, tick);
  assert.deepEqual(next.take("presence"), [{ type: "presence", data: { state: { page: 2 } } }]);
});

test("handles of a session share its connection, which ends a moment after the last", async () => {
  const { client, chat, socket } = await openChat();
  const other = client.chat("s");
  await settle();
  assert.equal(FakeSocket.last, socket);
  chat.close();
  chat.close();
  tick(2_000);
  assert.equal(socket.readyState, 1);
  assert.throws(() => chat.send("?"), withCode("CLOSED"));
  other.close();
  tick(500);
  const again = client.chat("s");
  tick(2_000);
  assert.equal(socket.readyState, 1, "it was taken again");
  const open = again.send("?");
  again.close();
  tick(1_000);
  assert.equal(socket.readyState, 3);
  await assert.rejects(open.done, withCode("CLOSED"));
  assert.notEqual(client.chat("s").sessionId, undefined);
});

test("what a session publishes is heard by type, family and all", async () => {
  const { chat, socket } = await openChat();
  const heard: string[] = [];
  chat.on("file", ({ data }) => heard.push(data.name));
  chat.on("*", ({ type }) => heard.push(type));
  chat.on("@error", ({ code }) => heard.push(code));
  socket.publish("file", { file_id: "f", name: "nota.pdf" }, 1);
  socket.publish("error", { code: "AGENT_FAILED" });
  socket.say("error", { code: "FORBIDDEN", message: "No.", retry: false, original_type: "presence" });
  assert.deepEqual(heard, ["nota.pdf", "file", "error", "FORBIDDEN"]);
});

test("without presence it is not asked for", async () => {
  const { socket } = await openChat({}, { presence: false });
  assert.equal(socket.url.search, "");
});

test("a client that is closed opens nothing more, and its chats end", async () => {
  const { client, chat, socket } = await openChat();
  const answer = chat.send("?");
  await client.close();
  assert.equal(socket.readyState, 3);
  await assert.rejects(answer.done, withCode("CLOSED"));
  assert.throws(() => client.chat("s"), withCode("CLOSED"));
  assert.throws(() => client.investigation("1"), withCode("CLOSED"));
});

test("a session that cannot be is refused at once", () => {
  assert.throws(() => offlineClient().chat("a b"), withCode("INVALID_ID"));
});
