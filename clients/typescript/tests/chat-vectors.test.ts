// What a chat makes of the frames that the server is known to send there.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import type { Answer, Chat, RealtimeError } from "../src/index.ts";
import { present } from "../src/presence.ts";
import { FakeSocket, offlineClient, settle } from "./support/socket.ts";
import { vectors } from "./support/vectors.ts";

interface Case {
  name: string;
  type: string;
  room?: string;
  bytes: string;
}

const server = vectors("server-frames");
const ROOM = "chat:sessao-1";
const FILE = new Blob(["x".repeat(1_000)], { type: "application/pdf" });

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

/** A chat that has had everything before the frame, and in which its question waits for an answer. */
async function chatting(seq = 0): Promise<{ chat: Chat; socket: FakeSocket; answer: Answer }> {
  const chat = offlineClient().chat("sessao-1");
  await settle();
  const socket = FakeSocket.last;
  socket.welcome({ seq: Math.max(0, seq - 1) });
  return { chat, socket, answer: chat.send("Quanto custou a ponte?", { id: "msg_1" }) };
}

const feed = (socket: FakeSocket, { bytes }: Case) => socket.onmessage?.({ data: bytes });

async function uploading(): Promise<{ socket: FakeSocket; done: Promise<unknown>; progress: number[] }> {
  const { chat, socket } = await chatting();
  const progress: number[] = [];
  const onProgress = ({ sent }: { sent: number }) => progress.push(sent);
  const done = chat.upload(FILE, { id: "file-1", name: "nota.pdf", onProgress });
  done.catch(() => {});
  while (socket.take("upload").length === 0) await new Promise(setImmediate);
  return { socket, done, progress };
}

const begun = (socket: FakeSocket) =>
  socket.say("upload_ready", { file_id: "file-1", handle: 1, offset: 0, size: 1_000 });

/** Of the connection's own frames. */
const CONTROLS: Record<string, (data: never, each: Case) => Promise<void>> = {
  ack: async (data: { seq: number; duplicate?: boolean }, each) => {
    const { socket, answer } = await chatting(data.seq);
    feed(socket, each);
    assert.deepEqual(await answer.sent, { seq: data.seq, duplicate: data.duplicate === true });
  },
  presence: async (data: { count: number }, each) => {
    const { chat, socket } = await chatting();
    const users = [{ user_id: "ana", state: { status: "here" } }, { user_id: "bia" }];
    socket.say("presence", { room: ROOM, count: 2, users });
    feed(socket, each);
    assert.deepEqual(chat.presence, present({ count: 2, users }, data));
    assert.equal(chat.presence.count, data.count);
  },
  upload_ready: async (data: { offset: number }, each) => {
    const { socket, progress } = await uploading();
    feed(socket, each);
    assert.deepEqual(progress, [data.offset]);
  },
  upload_progress: async (data: { offset: number }, each) => {
    const { socket, progress } = await uploading();
    feed(socket, each);
    assert.deepEqual(progress, [data.offset]);
  },
  upload_complete: async ({ file_id: id, content_type: contentType, ...rest }: Record<string, unknown>, each) => {
    const { socket, done } = await uploading();
    feed(socket, each);
    assert.deepEqual(await done, { id, contentType, ...rest });
  },
  upload_aborted: async (_, each) => {
    const { socket, done } = await uploading();
    begun(socket);
    feed(socket, each);
    await assert.rejects(done, { code: "ABORTED" });
  },
  error: refused,
};

async function refused(data: Record<string, unknown>, each: Case): Promise<void> {
  if (data.original_type === "upload") return uploadRefused(data, each);
  const { chat, socket, answer } = await chatting();
  const told: RealtimeError[] = [];
  chat.on("@error", (error) => told.push(error));
  feed(socket, each);
  if (data.original_type === "chat") await assert.rejects(answer.sent, { code: data.code });
  else if (data.original_type === "chat_cancel") assert.deepEqual(told, []);
  else if (chat.state.status === "stopped") assert.equal(chat.state.reason.code, data.code);
}

async function uploadRefused(data: Record<string, unknown>, each: Case): Promise<void> {
  const { socket, done } = await uploading();
  begun(socket);
  feed(socket, each);
  if (data.offset === undefined) await assert.rejects(done, { code: data.code });
  else assert.equal(socket.take("upload").length, 1, "it asks from where to go on");
}

for (const each of server.frames.filter(({ type }: Case) => type in CONTROLS) as (Case & { data: never })[]) {
  test(`a chat understands: ${each.name}`, () => CONTROLS[each.type]?.(each.data, each));
}

// biome-ignore lint/suspicious/noExplicitAny: data of many shapes
type Data = any;

/** Of what is published. The question of the answers is `msg_1`. */
const MESSAGES: Record<string, (at: { chat: Chat; answer: Answer }, data: Data, heard: string[]) => Promise<void>> = {
  typing: async ({ chat, answer }, { user_id, isTyping, stage, message }) => {
    assert.deepEqual(chat.typing, user_id && isTyping ? [user_id] : []);
    if (stage) assert.deepEqual(answer.stage, { name: stage, ...(message && { message }) });
  },
  chat: async ({ answer }, { chunk, content, message_id }, heard) => {
    assert.deepEqual(heard, []);
    if (chunk) assert.deepEqual([answer.text, answer.messageId, answer.status], [content, message_id, "answering"]);
    else assert.equal((await answer.sent).seq, 41, "it is its own question, out of the log");
  },
  chat_complete: async ({ answer }, { status, content, error, agent_id }, heard) => {
    assert.deepEqual(heard, ["chat_complete"]);
    assert.deepEqual([answer.text, answer.status, answer.agent?.id], [content, status, agent_id]);
    if (error) await assert.rejects(answer.done, { code: error.code });
    else assert.equal((await answer.done).status, status);
  },
};

for (const each of server.messages.filter(({ room }: Case) => room === ROOM)) {
  test(`a chat understands what is published: ${each.name}`, async () => {
    const { chat, socket, answer } = await chatting(each.seq);
    const heard: string[] = [];
    chat.on("*", ({ type }) => heard.push(type));
    feed(socket, each);
    const { type, data } = JSON.parse(each.bytes);
    const understood = MESSAGES[type];
    if (understood) await understood({ chat, answer }, data, heard);
    else assert.deepEqual(heard, [type]);
  });
}
