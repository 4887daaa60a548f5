// Code of programs and words of publishers: whatever they do, the client goes on.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { LiveAnswer } from "../src/answer.ts";
import { closed } from "../src/deferred.ts";
import type { Answer, RealtimeError, SocketConstructor } from "../src/index.ts";
import { roomName } from "../src/protocol.ts";
import { said } from "../src/text.ts";
import { comeBack, FakeSocket, offlineClient, openChat, settle } from "./support/socket.ts";

const tick = (ms: number) => mock.timers.tick(ms);
const { queueMicrotask: real } = globalThis;
/** What is told of code that throws. */
let told: string[] = [];

beforeEach(() => {
  told = [];
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  globalThis.queueMicrotask = (task) =>
    real(() => {
      try {
        task();
      } catch (error) {
        told.push((error as Error).message);
      }
    });
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
  globalThis.queueMicrotask = real;
});

function throws(): never {
  throw new Error("mine");
}

async function sent(socket: FakeSocket, type: string) {
  for (let count = 0; count < 1_000; count += 1) {
    const [frame] = socket.take(type);
    if (frame) return frame;
    await turn();
  }
  return assert.fail(`no ${type} was sent`);
}

test("what onProgress throws is told, and the upload goes on, and so does what came with it", async () => {
  const { chat, socket } = await openChat();
  const done = chat.upload(new Uint8Array(4), { id: "f", onProgress: throws });
  await sent(socket, "upload");
  socket.say("batch", {});
  const ready = { type: "upload_ready", data: { file_id: "f", handle: 7, offset: 0, size: 4 } };
  const news = { type: "news", data: {}, room: "chat:s", id: "n", timestamp: "t", seq: 1 };
  const heard: string[] = [];
  chat.on("news", ({ id }) => heard.push(id));
  socket.onmessage?.({ data: JSON.stringify({ type: "batch", count: 2, messages: [ready, news] }) });
  for (let turns = 0; turns < 10; turns += 1) await turn();
  assert.deepEqual([heard, socket.pieces.length], [["n"], 1]);
  socket.say("upload_complete", { file_id: "f", size: 4, seq: 2 });
  assert.equal((await done).seq, 2);
  await settle();
  assert.deepEqual(told, ["mine", "mine"]);
});

test("a WebSocket, a storage and a getToken that throw end nothing", async () => {
  class Throwing extends FakeSocket {
    override send(): void {
      throws();
    }
  }
  let tokens = 0;
  const client = offlineClient({
    WebSocket: Throwing as unknown as SocketConstructor,
    storage: { get: throws, set: throws, remove: throws },
    getToken: () => (tokens++ ? "token" : throws()),
  });
  const chat = client.chat("s");
  await settle();
  assert.equal(chat.state.status === "waiting" && chat.state.reason.code, "TOKEN_UNAVAILABLE");
  tick(2_000);
  await settle();
  const heard: unknown[] = [];
  chat.on("news", ({ seq }) => heard.push(seq));
  FakeSocket.last.welcome();
  chat.setTyping();
  FakeSocket.last.publish("news", {}, 1);
  assert.deepEqual([chat.state.status, heard], ["connected", [1]]);
  await settle();
  assert.ok(told.length > 0 && told.every((message) => message === "mine"));
});

test("a state that JSON cannot say throws where it is given, and is not said with every connection", async () => {
  const { chat, socket } = await openChat();
  chat.setPresence({ status: "away" });
  assert.throws(() => chat.setPresence({ size: 1n }), { code: "INVALID_JSON" });
  const next = await comeBack(socket, tick);
  assert.deepEqual(next.take("presence"), [{ type: "presence", data: { state: { status: "away" } } }]);
});

test("a context that JSON cannot say throws, and leaves no answer behind", async () => {
  const { chat, socket } = await openChat();
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  for (const context of [1n, cycle, { toJSON: throws }]) {
    assert.throws(() => chat.send("Oi", { id: "q1", context }), { code: "INVALID_JSON" });
  }
  assert.deepEqual([chat.answers, socket.take("chat")], [[], []]);
  chat.send("Oi", { id: "q1" });
  assert.equal(socket.take("chat").length, 1);
});

test("halves of characters are replaced, whole ones and what only looks like halves are not", () => {
  const read = (data: object) => JSON.parse(said("chat", data as Record<string, unknown>)).data;
  const kept = { emoji: "🦜 ação", path: "C:\\ud800", text: '\\\\ud800 \\"', line: "a\n\u0007" };
  assert.deepEqual(read(kept), kept);
  assert.deepEqual(read({ a: "x\ud800", b: ["\udfffy"], "k\ud83d": "\\\ud83d" }), {
    a: "x\ufffd",
    b: ["\ufffdy"],
    "k\ufffd": "\\\ufffd",
  });
});

test("a file is named with a text, of a length that a server answers", async () => {
  const { chat, socket } = await openChat();
  chat.upload(new Uint8Array(1), { id: "a", name: "nota\ud83d.pdf" }).catch(() => {});
  assert.equal((await sent(socket, "upload")).data.name, "nota\ufffd.pdf");
  chat.upload(new Uint8Array(1), { id: "b", name: "x".repeat(2_000_000) }).catch(() => {});
  assert.equal((await sent(socket, "upload")).data.name.length, 256);
  chat.upload(new Uint8Array(1), { id: "c", name: 7 as unknown as string }).catch(() => {});
  assert.equal((await sent(socket, "upload")).data.name, "7");
});

test("an id that would be a folder in an address is refused where it is given", async () => {
  const client = offlineClient();
  for (const id of [".", "..", "", "a b", "a/b", "ação", "x".repeat(129), 7 as unknown as string]) {
    for (const make of [
      () => client.chat(id),
      () => client.investigation(id),
      () => client.analysis(id),
      () => client.room("analysis", id),
      () => client.chat("s").send("Oi", { id }),
    ]) {
      assert.throws(make, { code: "INVALID_ID" }, JSON.stringify(id));
    }
    await assert.rejects(client.chat("s").upload(new Uint8Array(1), { id }), { code: "INVALID_ID" });
  }
  assert.equal(roomName("chat", "..."), "chat:...");
});

/** What a field of a publisher's may be. */
const VALUES: unknown[] = [undefined, null, 0, -1, 0.5, 1e300, true, "", "x", [], [1], {}, { toString: 1, valueOf: 1 }];
const FIELDS: Record<string, string[]> = {
  chat: ["content", "chunk", "snapshot", "message_id", "reply_to", "agent_id", "agent_name", "user_id"],
  chat_complete: ["status", "content", "message_id", "reply_to", "agent_id", "error"],
  typing: ["isTyping", "user_id", "expires_in_ms", "message_id", "reply_to", "stage", "message", "agent_id"],
  file: ["file_id", "name", "size", "url"],
  error: ["code", "message", "retry"],
  session_updated: ["title"],
};
const WHOLE: Record<string, object> = {
  chat: { chunk: true, content: "um ", message_id: "a1", reply_to: "q1" },
  chat_complete: { status: "completed", content: "fim", message_id: "a1", reply_to: "q1" },
  typing: { isTyping: true, stage: "thinking", message_id: "a1", reply_to: "q1" },
};

test("nothing that is published throws, or reads as undefined", async () => {
  for (const [type, names] of Object.entries(FIELDS)) {
    for (const name of names) {
      for (const value of VALUES) {
        const { client, chat, socket } = await openChat();
        const answer = chat.send("?", { id: "q1" });
        socket.say("ack", { id: "q1", seq: 1 });
        const answers: Answer[] = [answer];
        chat.on("@answer", (each) => answers.push(each));
        socket.publish("chat", { ...WHOLE.chat }, undefined, "c");
        socket.publish(type, { ...WHOLE[type], [name]: value }, 2);
        const shown = answers.map(({ id, text, status, stage, agent, messageId }) =>
          JSON.stringify([id, text, String(status), stage, agent, messageId]),
        );
        const what = `${type}.${name} = ${JSON.stringify(value)}`;
        assert.doesNotMatch(`${shown} ${chat.typing}`, /undefined|\[object|NaN/, what);
        assert.ok(
          answers.every(({ text }) => typeof text === "string"),
          what,
        );
        assert.deepEqual(told, [], what);
        await client.close();
      }
    }
  }
});

test("an answer without a content is what was said of it, and one that fails says a code", async () => {
  const { chat, socket } = await openChat();
  const first = chat.send("?", { id: "q1" });
  socket.publish("chat", { ...WHOLE.chat });
  socket.publish("chat", { chunk: true, reply_to: "q1" });
  socket.publish("chat_complete", { status: "odd", reply_to: "q1" }, 1);
  const { status, text } = await first.done;
  assert.deepEqual([status, text], ["completed", "um "]);
  for (const [index, error] of ["broken", { code: 7, message: null }, undefined].entries()) {
    const failed = chat.send("?", { id: "q2" });
    socket.publish("chat_complete", { status: "failed", reply_to: "q2", error }, 2 + index);
    await assert.rejects(failed.done, (error: RealtimeError) => {
      return error.code === "AGENT_FAILED" && error.message === "The agent failed.";
    });
  }
});

test("an answer that has ended hears nothing more", async () => {
  const answer = new LiveAnswer("q1", true, () => assert.fail("it is not stopped"));
  answer.complete({ status: "cancelled", role: "assistant", content: "um", message_id: "a1" });
  const before = JSON.stringify(answer);
  answer.confirmed({ seq: 1, duplicate: false });
  answer.typing({ stage: "thinking" });
  answer.chunk({ role: "assistant", content: "dois" });
  answer.complete({ status: "failed", role: "assistant", content: "", message_id: "a1" });
  answer.interrupt();
  answer.fail(closed());
  answer.cancel();
  assert.equal(JSON.stringify(answer), before);
  assert.equal((await answer.done).status, "cancelled");
});

test("what the server says of a file is believed as far as it makes sense", async () => {
  const { chat, socket } = await openChat();
  const seen: number[] = [];
  const done = chat.upload(new Uint8Array(4), { id: "f", onProgress: ({ sent }) => seen.push(sent) });
  await sent(socket, "upload");
  for (const value of VALUES) {
    for (const name of ["handle", "offset"]) {
      if (value === 0) continue;
      socket.say("upload_ready", { file_id: "f", handle: 7, offset: 0, size: 4, [name]: value });
    }
    socket.say("upload_progress", { file_id: "f", offset: value });
    socket.say("upload_ready", { file_id: "f", handle: 7, offset: 0, window_bytes: value, frame_bytes: value });
  }
  for (let turns = 0; turns < 20; turns += 1) await turn();
  assert.ok(socket.pieces.length > 0);
  assert.ok(seen.every((at) => at === 0));
  socket.say("upload_complete", { file_id: "f" });
  const { id, ...rest } = await done;
  assert.deepEqual(rest, { size: 4, contentType: "", sha256: "", url: "", seq: 0 });
  await settle();
  assert.deepEqual(told, []);
});

test("a clock that is set back stops neither pings nor attempts", async () => {
  let now = 5_000;
  mock.method(performance, "now", () => now);
  const pass = (ms: number) => {
    now += ms;
    mock.timers.tick(ms);
  };
  const { chat, socket } = await openChat();
  mock.method(Date, "now", () => -3_600_000);
  pass(25_000);
  assert.equal(socket.take("ping").length, 1);
  chat.setTyping();
  pass(3_000);
  chat.setTyping();
  assert.equal(socket.take("typing").length, 2);
  pass(7_000);
  assert.equal(chat.state.status, "waiting");
  pass(2_000);
  await settle();
  assert.notEqual(FakeSocket.last, socket);
});

test("a device that slept is seen through, whether its clock stood still or not", async () => {
  for (const stood of [true, false]) {
    let [now, wall] = [5_000, 1_000_000];
    mock.method(performance, "now", () => now);
    mock.method(Date, "now", () => wall);
    const { socket } = await openChat();
    wall += 3_600_000;
    now += stood ? 10_000 : 3_600_000;
    mock.timers.tick(10_000);
    assert.equal(socket.take("ping").length, 1);
  }
});

test("a file that has become shorter ends its upload", async () => {
  const { chat, socket } = await openChat();
  const blob = new Blob([new Uint8Array(10)]);
  const done = chat.upload(blob, { id: "f" });
  done.catch(() => {});
  await sent(socket, "upload");
  blob.slice = () => new Blob([new Uint8Array(3)]);
  socket.say("upload_ready", { file_id: "f", handle: 7, offset: 0, size: 10 });
  await assert.rejects(done, { code: "FILE_UNREADABLE" });
});

test("nobody types for ever, whatever a publisher says", async () => {
  const { chat, socket } = await openChat();
  socket.publish("typing", { user_id: "bia", expires_in_ms: 1e12 });
  assert.deepEqual(chat.typing, ["bia"]);
  for (let seconds = 0; seconds < 60; seconds += 5) {
    assert.deepEqual(chat.typing, ["bia"], "a time that no timer takes is none that has passed");
    socket.say("pong", {});
    tick(5_000);
  }
  assert.deepEqual(chat.typing, []);
});

test("a frame that cannot be handled is told, and the next is handled", async () => {
  const { chat, socket } = await openChat();
  socket.say("unsubscribed", { room: { toString: 1, valueOf: 1 } });
  const heard: unknown[] = [];
  chat.on("news", ({ seq }) => heard.push(seq));
  socket.publish("news", {}, 1);
  await settle();
  assert.deepEqual([heard, told.length], [[1], 1]);
});
