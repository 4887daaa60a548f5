// What people say in chats: who hears it, what becomes of it a second time, what is refused, what agents are asked.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { TestAgent } from "./support/agent.ts";
import { chat, Guest, history, OPEN } from "./support/chat.ts";
import { Client, unpack } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let agent: TestAgent;
let worker: TestWorker;
before(async () => {
  agent = await TestAgent.start();
  worker = await TestWorker.start({ settings: { ...OPEN, AGENT_URL: `${agent.url}/api/v1/chat/stream` } });
});
after(async () => {
  await worker[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

const join = (path: string, sub: string) => Guest.join(worker, path, sub);
const QUIET = { ask: false };

test("who says something gets an ack, all others the message, and the log keeps it", async () => {
  using ana = await join("/chat/echo", "ana");
  using phone = await join("/chat/echo", "ana");
  using bia = await join("/chat/echo", "bia");
  ana.client.send(chat("Olá, ação! 🇧🇷", "m-1", QUIET));
  const heard = (await ana.client.drain()).flatMap(unpack).filter(({ type }) => ["ack", "chat"].includes(type));
  assert.deepEqual(
    heard.map(({ type, data }) => ({ type, data })),
    [{ type: "ack", data: { id: "m-1", room: "chat:echo", seq: 1 } }],
  );
  for (const other of [phone, bia]) {
    const { type, id, room, seq, data } = await other.until(({ type }) => type === "chat");
    assert.deepEqual({ type, id, room, seq }, { type: "chat", id: "m-1", room: "chat:echo", seq: 1 });
    assert.deepEqual(data, { role: "user", content: "Olá, ação! 🇧🇷", user_id: "ana" });
  }
  assert.deepEqual(
    (await ana.client.drain()).flatMap(unpack).filter(({ type }) => type === "chat"),
    [],
  );
  assert.deepEqual(
    (await history(worker, "/chat/echo")).map(({ id }) => id),
    ["m-1"],
  );
  assert.equal(agent.waiting, 0);
});

test("who comes back before its message's place is sent its own message too", async () => {
  using ana = await join("/chat/own", "ana");
  const start = { ...ana.cursor };
  await ana.say("um", "m-1", QUIET);
  assert.equal(ana.cursor.seq, 1);
  using again = await Guest.join(worker, "/chat/own", "ana", start);
  assert.equal((await again.until(({ type }) => type === "chat")).id, "m-1");
  using since = await Guest.join(worker, "/chat/own", "ana", ana.cursor);
  assert.deepEqual(await since.client.drain(), []);
});

test("the same id is one question, on another connection too, and nobody else's", async () => {
  const ana = await join("/chat/twice", "ana");
  ana.client.send(chat("Quanto?", "q-1"));
  const call = await agent.next();
  ana[Symbol.dispose](); // It has lost the ack, for all it knows.
  using again = await join("/chat/twice", "ana");
  const ack = await again.say("Quanto?", "q-1");
  assert.deepEqual(ack.data, { id: "q-1", room: "chat:twice", seq: 1, duplicate: true });
  using bia = await join("/chat/twice", "bia");
  const refused = await bia.say("Quanto?", "q-1");
  assert.deepEqual([refused.data.code, refused.data.original_type], ["ID_TAKEN", "chat"]);
  await call.write("Muito.");
  await call.done();
  await again.completed();
  assert.equal((await again.say("Quanto?", "q-1")).data.duplicate, true);
  assert.equal(agent.waiting, 0);
  assert.deepEqual(
    (await history(worker, "/chat/twice")).map(({ type }) => type),
    ["chat", "chat_complete"],
  );
});

test("the agent is told the question, the session, the context and which agent; people only the question", async () => {
  using ana = await join("/chat/asked", "ana");
  using bia = await join("/chat/asked", "bia");
  const context = { page: "contratos", valor: 1.1 };
  ana.client.send({ type: "chat", id: "q-1", data: { message: "Quanto?", context, agent_id: "zumbi" } });
  const call = await agent.next();
  assert.equal(call.headers["content-type"], "application/json");
  assert.deepEqual(call.body, { message: "Quanto?", session_id: "asked", context, agent_id: "zumbi" });
  assert.deepEqual((await bia.until(({ type }) => type === "chat")).data, {
    role: "user",
    content: "Quanto?",
    user_id: "ana",
  });
  await call.event({ type: "agent_selected", agent_id: "zumbi", agent_name: "Zumbi" });
  await call.write("R$ 1");
  await call.done({ suggested_actions: ["mais"] });
  const { data, id, seq } = await bia.completed();
  assert.equal(seq, 2);
  assert.deepEqual(data, {
    status: "completed",
    role: "assistant",
    content: "R$ 1",
    message_id: id,
    reply_to: "q-1",
    agent_id: "zumbi",
    agent_name: "Zumbi",
    suggested_actions: ["mais"],
  });
});

test("while an agent is at it, everybody is told how far it is, and when it is done", async () => {
  using ana = await join("/chat/typing", "ana");
  using bia = await join("/chat/typing", "bia");
  await ana.say("Quanto?", "q-1");
  const call = await agent.next();
  for (const type of ["detecting", "intent", "thinking"]) await call.event({ type, message: `${type}…` });
  await call.write("R$ 1");
  await call.done();
  for (const guest of [ana, bia]) {
    const stages = [];
    for (let typing = true; typing; ) {
      const frame = await guest.until(({ type }) => type === "typing");
      assert.deepEqual([frame.seq, frame.data.agent, frame.data.reply_to], [undefined, "processing", "q-1"]);
      typing = frame.data.isTyping;
      stages.push(frame.data.stage);
    }
    assert.deepEqual(stages, ["asking", "detecting", "intent", "thinking", undefined]);
    await guest.completed();
  }
});

test("questions are answered one after the other, and more than 16 do not wait", async () => {
  using ana = await join("/chat/queue", "ana");
  for (let n = 1; n <= 16; n++) assert.equal((await ana.say(`Pergunta ${n}`, `q-${n}`)).data.seq, n);
  const { data } = await ana.say("Mais uma?", "q-17");
  assert.deepEqual([data.code, data.retry, data.original_id], ["TOO_MANY_QUESTIONS", true, "q-17"]);
  assert.equal((await ana.say("Só um comentário.", "m-17", QUIET)).type, "ack");
  for (let n = 1; n <= 16; n++) {
    const call = await agent.next();
    assert.deepEqual([call.body.message, agent.waiting], [`Pergunta ${n}`, 0]);
    await call.write(`Resposta ${n}`);
    await call.done();
    const { data } = await ana.completed();
    assert.deepEqual([data.reply_to, data.content], [`q-${n}`, `Resposta ${n}`]);
  }
  assert.equal((await ana.say("Mais uma?", "q-17")).data.seq, 34);
  ana.client.send({ type: "chat_cancel", data: { reply_to: "q-17" } });
  await agent.next();
});

test("who asked stops an answer, and the agent is let go of", async () => {
  using ana = await join("/chat/cancel", "ana");
  using bia = await join("/chat/cancel", "bia");
  for (const n of [1, 2, 3]) await ana.say(`Pergunta ${n}`, `q-${n}`);
  const first = await agent.next();
  await first.write("Era uma");
  const message_id = await ana.sees("Era uma");

  // One that waits is never asked.
  ana.client.send({ type: "chat_cancel", data: { reply_to: "q-2" } });
  const waiting = (await ana.completed()).data;
  assert.deepEqual([waiting.status, waiting.reply_to, waiting.content], ["cancelled", "q-2", ""]);

  assert.equal((await bia.until(({ id }) => id === "q-3")).data.content, "Pergunta 3");
  bia.client.send({ type: "chat_cancel", data: { message_id } });
  assert.equal((await bia.until(({ type }) => type === "error")).data.code, "FORBIDDEN");

  ana.client.send({ type: "chat_cancel", data: { message_id } });
  assert.equal(await first.closed, "aborted");
  for (const guest of [ana, bia]) {
    const { data } = await guest.until(({ id }) => id === message_id);
    assert.deepEqual([data.status, data.content, data.error], ["cancelled", "Era uma", undefined]);
  }
  const third = await agent.next();
  assert.equal(third.body.message, "Pergunta 3");
  await third.done();
  await ana.completed();
  ana.client.send({ type: "chat_cancel", data: { message_id } });
  assert.equal((await ana.until(({ type }) => type === "error")).data.code, "NOT_FOUND");
});

test("what is cancelled at once asks nobody for long", async () => {
  using ana = await join("/chat/at-once", "ana");
  ana.client.send(chat("Quanto?", "q-1"));
  ana.client.send({ type: "chat_cancel", data: { reply_to: "q-1" } });
  assert.equal((await ana.completed()).data.status, "cancelled");
  ana.client.send(chat("E agora?", "q-2"));
  let call = await agent.next();
  if (call.body.message === "Quanto?") {
    assert.equal(await call.closed, "aborted");
    call = await agent.next();
  }
  assert.equal(call.body.message, "E agora?");
  await call.done();
  assert.equal((await ana.completed()).data.status, "completed");
});

test("bad frames are refused with a code, and the connection goes on", async () => {
  using ana = await join("/chat/bad", "ana");
  for (const [frame, code] of [
    ['{"type":"chat"', "INVALID_JSON"],
    [{ type: "chat" }, "INVALID_FRAME"],
    [{ type: "chat", data: "olá" }, "INVALID_FRAME"],
    [{ type: "chat", data: {} }, "INVALID_FRAME"],
    [{ type: "chat", data: { content: 7 } }, "INVALID_FRAME"],
    [{ type: "chat", data: { content: " \n" } }, "INVALID_FRAME"],
    [chat("é".repeat(1_001), "m-1"), "TOO_LARGE"],
    [chat("olá", "com espaço"), "INVALID_ID"],
    [chat("olá", "m-1", { agent_id: "com espaço" }), "INVALID_FRAME"],
    [chat("olá", "m-1", { ask: "sim" }), "INVALID_FRAME"],
    [{ type: "chat_cancel" }, "INVALID_FRAME"],
    [{ type: "chat_cancel", data: { message_id: "a", reply_to: "b" } }, "INVALID_FRAME"],
    [{ type: "chat_cancel", data: { reply_to: "m-1" } }, "NOT_FOUND"],
    [new Uint8Array(20), "INVALID_FILE"],
  ] as const) {
    const { type, data } = await ana.client.ask(frame);
    assert.deepEqual([type, data.code], ["error", code], JSON.stringify(frame));
  }
  assert.equal((await ana.say("é".repeat(1_000), "m-1", QUIET)).data.seq, 1);
});

test("a refusal names its frame: of blank content, of whatever type, stopping nothing, or too large", async () => {
  using ana = await join("/chat/named", "ana");
  for (const [frame, names] of [
    [chat(" \n", "m-1"), ["INVALID_FRAME", "chat", "m-1", undefined]],
    [{ type: "chat", id: "m-2", data: { content: 7 } }, ["INVALID_FRAME", "chat", "m-2", undefined]],
    [{ type: "dance", id: "m-3", data: {} }, ["UNKNOWN_TYPE", "dance", "m-3", undefined]],
    [{ type: "chat_cancel", data: { reply_to: "m-1" } }, ["NOT_FOUND", "chat_cancel", undefined, "m-1"]],
    [chat("x".repeat(1 << 20), "m-4"), ["TOO_LARGE", "chat", "m-4", undefined]],
  ] as const) {
    const { type, data } = await ana.client.ask(frame);
    assert.equal(type, "error");
    assert.deepEqual([data.code, data.original_type, data.original_id, data.reply_to], names);
  }
  // Nothing was taken: what is mended goes through under the same id.
  assert.equal((await ana.say("Olá", "m-1", QUIET)).data.seq, 1);
});

test("chats are in chats alone", async () => {
  for (const path of ["", "/investigations/1", "/analysis/1"]) {
    using client = await Client.open(worker.url(`/api/v1/ws${path}?token=${worker.token({})}`, "ws"));
    for (const frame of [chat("Olá", "m-1"), { type: "chat_cancel", data: { reply_to: "m-1" } }]) {
      const { data } = await client.ask(frame);
      assert.deepEqual([data.code, data.original_type], ["UNKNOWN_TYPE", frame.type]);
    }
  }
});

test("notifications and an investigation's messages come while an answer is on its way", async () => {
  using ana = await join("/chat/busy", "ana");
  const subscribed = await ana.client.ask({ type: "subscribe", data: { investigation_id: "busy" } });
  assert.equal(subscribed.type, "subscribed");
  await ana.say("Quanto?", "q-1");
  const call = await agent.next();
  await call.write("R$ ");
  await ana.sees("R$ ");
  const taken = await worker.publish("/chat/busy", { type: "notification", data: { level: "info" } });
  assert.equal(taken.body.messages[0].seq, 2);
  assert.equal((await ana.until(({ type }) => type === "notification")).room, "chat:busy");
  await worker.publish("/investigations/busy", { type: "anomaly_detected" });
  assert.equal((await ana.until(({ type }) => type === "anomaly_detected")).room, "investigation:busy");
  await call.write("1");
  await call.done();
  assert.equal((await ana.completed()).data.content, "R$ 1");
});

test("a page that knows chunks and the end of an answer, and nothing else, shows the exact text", async () => {
  const text = "Ação, coração & “R$ 1.234,56” 🇧🇷\n\n- um\n- dois";
  const socket = new WebSocket(worker.url(`/api/v1/ws/chat/page?token=${worker.token({})}`, "ws"));
  let shown = "";
  const ended = new Promise<string>((resolve) => {
    socket.on("message", (frame) => {
      const { type, data } = JSON.parse(frame.toString());
      if (type === "connection") socket.send(JSON.stringify({ type: "chat", data: { message: "Quanto?" } }));
      if (type === "chat" && data.chunk) shown += data.content;
      if (type === "chat_complete") resolve(data.content);
    });
  });
  const call = await agent.next();
  call.pace = { bytes: 7, pauseMs: 2 };
  for (const character of text) await call.write(character);
  await call.done();
  assert.equal(await ended, text);
  assert.equal(shown, text);
  socket.terminate();
});

test("without an agent the demonstration answers, and says so", async () => {
  await using alone = await TestWorker.start({ settings: OPEN });
  using ana = await Guest.join(alone, "/chat/demo", "ana");
  await ana.say("Quanto custou a ponte?", "q-1");
  const { data } = await ana.until(({ type, data }) => type === "chat" && data.chunk);
  assert.deepEqual([data.agent_id, data.snapshot], ["demo", true]);
  const answer = await ana.completed();
  assert.match(answer.data.content, /AGENT_URL.*“Quanto custou a ponte\?”/);
  assert.deepEqual([answer.data.status, answer.data.reply_to], ["completed", "q-1"]);
});
