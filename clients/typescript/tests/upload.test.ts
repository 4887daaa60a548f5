import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { RealtimeError, UploadOptions } from "../src/index.ts";
import { comeBack, type FakeSocket, openChat } from "./support/socket.ts";

const tick = (ms: number) => mock.timers.tick(ms);
const withCode = (code: string) => (error: unknown) => (error as RealtimeError).code === code;

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

/** Reading a file takes turns of the event loop. */
async function turns(): Promise<void> {
  for (let count = 0; count < 30; count += 1) await turn();
}

/** Waits until something was sent. */
async function sent(socket: FakeSocket, type: string) {
  for (let count = 0; count < 1_000; count += 1) {
    const [frame] = socket.take(type);
    if (frame) return frame;
    await turn();
  }
  return assert.fail(`no ${type} was sent`);
}

const bytes = (size: number) => Uint8Array.from({ length: size }, (_, index) => index % 251);

async function begin(size: number, options: UploadOptions = {}) {
  const { client, chat, socket } = await openChat();
  const file = bytes(size);
  const done = chat.upload(file, { id: "file-1", name: "nota.pdf", ...options });
  done.catch(() => {});
  const announced = await sent(socket, "upload");
  return { client, chat, socket, file, done, announced };
}

const ready = (socket: FakeSocket, offset = 0, rest: object = {}) =>
  socket.say("upload_ready", {
    file_id: "file-1",
    handle: 7,
    offset,
    size: 10,
    window_bytes: 4,
    frame_bytes: 2,
    ...rest,
  });
const progress = (socket: FakeSocket, offset: number) =>
  socket.say("upload_progress", { file_id: "file-1", offset, size: 10 });
const complete = (socket: FakeSocket) =>
  socket.say("upload_complete", {
    file_id: "file-1",
    size: 10,
    content_type: "application/pdf",
    sha256: "ab",
    url: "/u",
    seq: 5,
  });

function read(piece: Uint8Array | undefined) {
  assert.ok(piece);
  const view = new DataView(piece.buffer, piece.byteOffset);
  return { handle: view.getUint32(0), offset: Number(view.getBigUint64(4)), bytes: [...piece.subarray(12)] };
}

const offsets = (socket: FakeSocket) => socket.pieces.map((piece) => read(piece).offset);

test("a file is announced, sent as far as the window goes, and done when the server has it", async () => {
  const seen: number[] = [];
  const { socket, file, done, announced } = await begin(10, {
    contentType: "application/pdf",
    onProgress: ({ sent }) => seen.push(sent),
  });
  const sha256 = createHash("sha256").update(file).digest("hex");
  assert.deepEqual(announced, {
    type: "upload",
    id: "file-1",
    data: { name: "nota.pdf", size: 10, content_type: "application/pdf", sha256 },
  });
  ready(socket);
  await turns();
  assert.deepEqual(offsets(socket), [0, 2], "a window of 4 bytes");
  assert.deepEqual(read(socket.pieces[1]), { handle: 7, offset: 2, bytes: [2, 3] });
  progress(socket, 4);
  await turns();
  progress(socket, 8);
  await turns();
  assert.deepEqual(offsets(socket), [0, 2, 4, 6, 8]);
  complete(socket);
  assert.deepEqual(await done, {
    id: "file-1",
    size: 10,
    contentType: "application/pdf",
    sha256: "ab",
    url: "/u",
    seq: 5,
  });
  assert.deepEqual(seen, [0, 4, 8, 10]);
});

test("after a break it goes on from what the server has", async () => {
  const { socket, done } = await begin(10);
  ready(socket);
  await turns();
  progress(socket, 2);
  await turns();
  const next = await comeBack(socket, tick);
  assert.equal((await sent(next, "upload")).id, "file-1");
  ready(next, 4, { handle: 9 });
  await turns();
  assert.deepEqual(read(next.pieces[0]), { handle: 9, offset: 4, bytes: [4, 5] });
  complete(next);
  await done;
});

test("what is complete already is not sent again", async () => {
  const { socket, done } = await begin(10);
  complete(socket);
  assert.equal((await done).seq, 5);
  assert.deepEqual(socket.pieces, []);
});

test("a window smaller than a piece is used all the same", async () => {
  const { socket } = await begin(10);
  ready(socket, 0, { window_bytes: 3, frame_bytes: 8 });
  await turns();
  assert.deepEqual(read(socket.pieces[0]).bytes.length, 3);
});

test("a signal gives it up, here and there", async () => {
  const controller = new AbortController();
  const { socket, done } = await begin(10, { signal: controller.signal });
  ready(socket);
  controller.abort();
  await assert.rejects(done, { name: "AbortError" });
  assert.deepEqual(socket.take("upload_abort"), [{ type: "upload_abort", data: { file_id: "file-1" } }]);
  const { chat } = await openChat();
  await assert.rejects(chat.upload(bytes(1), { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("a signal without a reason of its own is told by a code, whenever it comes", async () => {
  const controller = new AbortController();
  const { socket, done } = await begin(10, { signal: controller.signal });
  ready(socket);
  controller.abort("enough");
  await assert.rejects(done, withCode("ABORTED"));
  const { chat } = await openChat();
  await assert.rejects(chat.upload(bytes(1), { signal: controller.signal }), withCode("ABORTED"));
});

test("a refusal for good ends it, one for now asks again later", async () => {
  const { socket, done } = await begin(10);
  ready(socket);
  await turns();
  socket.say("error", { code: "RATE_LIMIT", message: "", retry: true, retry_after_ms: 700 });
  assert.deepEqual(socket.take("upload"), []);
  tick(700);
  assert.equal(socket.take("upload").length, 1);
  socket.say("error", {
    code: "FILE_TYPE_NOT_ALLOWED",
    message: "No.",
    retry: false,
    original_type: "upload",
    file_id: "file-1",
  });
  await assert.rejects(done, withCode("FILE_TYPE_NOT_ALLOWED"));
});

test("what arrives of a file while it pauses does not make the pause longer", async () => {
  const { socket } = await begin(10);
  ready(socket);
  await turns();
  socket.say("error", { code: "RATE_LIMIT", message: "", retry: true, retry_after_ms: 700 });
  progress(socket, 2);
  tick(700);
  assert.equal(socket.take("upload").length, 1);
});

test("a file that is sent again under its id is not ended by the end of the one before", async () => {
  const controller = new AbortController();
  const { chat, socket, done } = await begin(10, { signal: controller.signal });
  controller.abort();
  await assert.rejects(done, { name: "AbortError" });
  const again = chat.upload(bytes(10), { id: "file-1" });
  again.catch(() => {});
  socket.say("upload_aborted", { file_id: "file-1" });
  await sent(socket, "upload");
  ready(socket);
  const late = { code: "NOT_FOUND", message: "", retry: false, original_type: "upload_abort", file_id: "file-1" };
  socket.say("error", late);
  complete(socket);
  assert.equal((await again).seq, 5);
});

test("a hole is filled from the place that the server names, which is asked for once", async () => {
  const { socket } = await begin(10);
  ready(socket, 0, { window_bytes: 10 });
  await turns();
  const hole = {
    code: "INVALID_FILE",
    message: "",
    retry: false,
    original_type: "upload",
    file_id: "file-1",
    offset: 2,
  };
  for (let pieces = 0; pieces < 3; pieces += 1) socket.say("error", hole);
  assert.equal(socket.take("upload").length, 1);
  socket.pieces.length = 0;
  ready(socket, 2, { window_bytes: 10 });
  await turns();
  assert.deepEqual(offsets(socket), [2, 4, 6, 8]);
});

test("what could succeed later is tried ever later, and not for ever", async () => {
  const { socket, done } = await begin(10);
  const no = { code: "FILES_UNAVAILABLE", message: "", retry: true, original_type: "upload", file_id: "file-1" };
  for (const pause of [1, 2, 4, 8, 16, 30]) {
    socket.say("error", no);
    tick(pause * 1_000 - 1);
    assert.deepEqual(socket.take("upload"), []);
    tick(1);
    assert.equal(socket.take("upload").length, 1);
  }
  socket.say("error", no);
  await assert.rejects(done, withCode("FILES_UNAVAILABLE"));
});

test("a server that says nothing for long is asked where it is", async () => {
  const { socket } = await begin(10);
  ready(socket);
  tick(15_000);
  assert.equal(socket.take("upload").length, 1);
});

test("two files go side by side, each with its own frames", async () => {
  const { chat, socket } = await begin(10);
  chat.upload(bytes(4), { id: "file-2" }).catch(() => {});
  await sent(socket, "upload");
  socket.say("upload_ready", { file_id: "file-2", handle: 8, offset: 0, size: 4 });
  ready(socket);
  await turns();
  assert.deepEqual(socket.pieces.map((piece) => read(piece).handle).sort(), [7, 7, 8]);
});

test("what ends the connection, the session or the server ends it", async () => {
  const aborted = await begin(10);
  ready(aborted.socket);
  aborted.socket.say("upload_aborted", { file_id: "file-1" });
  await assert.rejects(aborted.done, withCode("ABORTED"));
  const stopped = await begin(10);
  stopped.socket.say("error", { code: "DISCONNECTED", message: "No.", retry: false });
  await assert.rejects(stopped.done, withCode("DISCONNECTED"));
  const closed = await begin(10);
  await closed.client.close();
  await assert.rejects(closed.done, withCode("CLOSED"));
});

test("a file names itself, if it can", async () => {
  const { chat, socket } = await openChat();
  chat.upload(new File(["x"], "foto.png", { type: "image/png" }), { id: "f" }).catch(() => {});
  const { data } = await sent(socket, "upload");
  assert.deepEqual([data.name, data.content_type, data.size], ["foto.png", "image/png", 1]);
  await assert.rejects(chat.upload(bytes(1), { id: "a b" }), withCode("INVALID_ID"));
});

test("a file that cannot be read any more ends it", async () => {
  const { chat, socket } = await openChat();
  const blob = new Blob([bytes(10)]);
  const done = chat.upload(blob, { id: "file-1" });
  done.catch(() => {});
  await sent(socket, "upload");
  blob.slice = () => ({ arrayBuffer: () => Promise.reject(new Error("gone")) }) as unknown as Blob;
  ready(socket);
  await assert.rejects(done, withCode("FILE_UNREADABLE"));
});

test("a file that cannot be read at all, as Blobs of React Native, is not announced", async () => {
  const { chat, socket } = await openChat();
  const blob = new Blob([bytes(10)]);
  blob.slice = () => ({}) as Blob;
  await assert.rejects(chat.upload(blob), withCode("FILE_UNREADABLE"));
  assert.deepEqual(socket.take("upload"), []);
});

test("bytes are sent as they were, by themselves or out of the middle of others, without a Blob", async () => {
  const { Blob: real } = globalThis;
  globalThis.Blob = class {
    constructor() {
      throw new Error("no Blob is made of bytes");
    }
  } as unknown as typeof Blob;
  try {
    for (const [cut, want] of [
      [(all: Uint8Array<ArrayBuffer>) => all.buffer, [0, 1, 2, 3, 4, 5]],
      [(all: Uint8Array<ArrayBuffer>) => all.subarray(2, 4), [2, 3]],
    ] as const) {
      const { chat, socket } = await openChat();
      const all = bytes(6);
      chat.upload(cut(all), { id: "file-1" }).catch(() => {});
      const { data } = await sent(socket, "upload");
      all.fill(99);
      ready(socket, 0, { window_bytes: 6, frame_bytes: 6 });
      await turns();
      assert.deepEqual([data.size, read(socket.pieces[0]).bytes], [want.length, want]);
    }
  } finally {
    globalThis.Blob = real;
  }
});
