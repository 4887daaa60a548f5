// Files of chats in the real runtime: sent in frames and over HTTP, broken off, gone on with, and had again.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { after, before, test } from "node:test";
import { Client, type Frame } from "./support/client.ts";
import { TestWorker } from "./support/worker.ts";

let worker: TestWorker;
before(async () => {
  worker = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
});
after(() => worker[Symbol.asyncDispose]());

const FRAME = 262_144;
const WINDOW = 1_048_576;

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A PDF of so many bytes, as far as its first ones say. */
function pdf(size: number): Buffer {
  return Buffer.concat([Buffer.from("%PDF-1.7\n"), randomBytes(size - 9)]);
}

const open = (room: string, sub = "ana", on = worker) =>
  Client.open(on.url(`/api/v1/ws/chat/${room}?token=${on.token({ sub })}`, "ws"));

function announce(client: Client, id: string, bytes: Buffer, more = {}): void {
  const data = { name: "nota fiscal.pdf", size: bytes.length, content_type: "application/pdf", ...more };
  client.send({ type: "upload", id, data });
}

function part(handle: number, offset: number, bytes: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeUInt32BE(handle, 0);
  head.writeBigUInt64BE(BigInt(offset), 4);
  return Buffer.concat([head, bytes]);
}

/** The next frame of that type; the others are dropped. */
async function next(client: Client, ...types: string[]): Promise<Frame> {
  for (;;) {
    const frame = await client.next();
    if (types.includes(frame.type)) return frame;
    assert.notEqual(frame.type, "error", JSON.stringify(frame));
  }
}

/** Sends a file's bytes within the window, up to `until`. Returns what has been confirmed. */
async function send(client: Client, id: string, bytes: Buffer, until = bytes.length): Promise<number> {
  announce(client, id, bytes);
  const { data } = await next(client, "upload_ready");
  let [sent, confirmed] = [data.offset, data.offset];
  while (confirmed < until) {
    while (sent < until && sent - confirmed + FRAME <= WINDOW) {
      const chunk = bytes.subarray(sent, Math.min(sent + FRAME, until));
      client.send(part(data.handle, sent, chunk));
      sent += chunk.length;
    }
    confirmed = (await next(client, "upload_progress")).data.offset;
  }
  return confirmed;
}

const headers = (claims: Record<string, unknown> = {}) => ({ authorization: `Bearer ${worker.token(claims)}` });

const path = (room: string, id: string) => worker.url(`/api/v1/ws/chat/${room}/files/${id}`);

const get = (room: string, id: string, more = {}, claims = {}) =>
  fetch(path(room, id), { headers: { ...headers(claims), ...more } });

function put(room: string, id: string, body: Buffer, more = {}, claims = {}): Promise<Response> {
  const init = { "content-type": "application/pdf", ...headers(claims), ...more };
  return fetch(`${path(room, id)}?name=nota%20fiscal.pdf`, {
    method: "PUT",
    headers: init,
    body: new Uint8Array(body),
  });
}

async function refusal(response: Response): Promise<[number, string]> {
  const body = (await response.json()) as { error: { code: string } };
  return [response.status, body.error.code];
}

test("20 MB with a cut, a sleep and a restart in their middle arrive as they were sent", async () => {
  const bytes = pdf(20_000_000);
  const own = await TestWorker.start({ settings: { CHAT_ACCESS: "open" } });
  await using _ = own;
  let client = await open("large", "ana", own);
  const confirmed = await send(client, "f", bytes, 6_000_000);
  client.socket.terminate();
  client = await open("large", "ana", own);
  announce(client, "f", bytes);
  assert.equal((await next(client, "upload_ready")).data.offset, confirmed);
  await send(client, "f", bytes, 9_000_000);
  await own.evict("chat:large");
  await send(client, "f", bytes, 12_000_000);
  await own.restart();
  client = await open("large", "ana", own);
  using reader = await open("large", "bia", own);
  assert.equal(await send(client, "f", bytes), bytes.length);
  const { data } = await next(client, "upload_complete");
  const want = { file_id: "f", size: bytes.length, content_type: "application/pdf", sha256: sha256(bytes) };
  assert.deepEqual(data, { ...want, url: "/api/v1/ws/chat/large/files/f", seq: 1 });
  const file = await next(reader, "file");
  assert.deepEqual([file.id, file.seq, file.data.user_id, file.data.name], ["f", 1, "ana", "nota fiscal.pdf"]);
  const auth = { authorization: `Bearer ${own.token({ sub: "bia" })}` };
  const had = await fetch(own.url(file.data.url), { headers: auth });
  assert.equal(sha256(new Uint8Array(await had.arrayBuffer())), sha256(bytes));
  announce(client, "f", bytes);
  assert.equal((await next(client, "upload_complete")).data.seq, 1);
  client.socket.terminate();
});

test("a file is put, told of once, and had whole or in part under headers that keep it from being run", async () => {
  const bytes = pdf(300_000);
  using reader = await open("put", "bia");
  const first = await put("put", "f", bytes, { "x-content-sha256": sha256(bytes) });
  const answer = await first.json();
  const want = { file_id: "f", size: 300_000, content_type: "application/pdf", sha256: sha256(bytes) };
  const url = "/api/v1/ws/chat/put/files/f";
  assert.deepEqual([first.status, answer], [200, { ...want, url, seq: 1 }]);
  assert.deepEqual((await next(reader, "file")).data, { ...want, name: "nota fiscal.pdf", user_id: "ana", url });
  assert.deepEqual(await (await put("put", "f", bytes)).json(), { ...want, url, seq: 1, duplicate: true });
  assert.deepEqual(await reader.drain(), []);

  const whole = await get("put", "f");
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), bytes);
  const etag = `"${sha256(bytes)}"`;
  const safe = {
    "content-type": "application/pdf",
    "content-disposition": "attachment; filename*=UTF-8''nota%20fiscal.pdf",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
    "cache-control": "private",
    "accept-ranges": "bytes",
    "content-length": "300000",
    etag,
  };
  for (const [name, value] of Object.entries(safe)) assert.equal(whole.headers.get(name), value, name);

  const middle = await get("put", "f", { range: "bytes=1000-1999" });
  assert.deepEqual([middle.status, middle.headers.get("content-range")], [206, "bytes 1000-1999/300000"]);
  assert.deepEqual(Buffer.from(await middle.arrayBuffer()), bytes.subarray(1000, 2000));
  const end = await get("put", "f", { range: "bytes=-5" });
  assert.deepEqual(Buffer.from(await end.arrayBuffer()), bytes.subarray(-5));
  const beyond = await get("put", "f", { range: "bytes=300000-" });
  assert.deepEqual([beyond.status, beyond.headers.get("content-range")], [416, "bytes */300000"]);
  assert.equal((await get("put", "f", { "if-none-match": etag })).status, 304);

  const head = await fetch(path("put", "f"), { method: "HEAD", headers: headers() });
  assert.deepEqual([head.status, head.headers.get("content-length"), await head.text()], [200, "300000", ""]);
});

test("what is not taken is refused with its code and leaves nothing", async () => {
  const bytes = pdf(50_000);
  const page = Buffer.from("<!doctype html><script>alert(1)</script>");
  for (const [id, response, refused] of [
    ["type", await put("no", "type", page, { "content-type": "text/plain" }), [415, "FILE_TYPE_NOT_ALLOWED"]],
    ["page", await put("no", "page", page, { "content-type": "text/html" }), [415, "FILE_TYPE_NOT_ALLOWED"]],
    ["png", await put("no", "png", bytes, { "content-type": "image/png" }), [415, "FILE_TYPE_NOT_ALLOWED"]],
    ["hash", await put("no", "hash", bytes, { "x-content-sha256": "0".repeat(64) }), [400, "INVALID_FILE"]],
    ["large", await put("no", "large", pdf(26_214_401)), [400, "INVALID_FILE"]],
    ["right", await put("no", "right", bytes, {}, { rooms: ["chat:other"] }), [403, "FORBIDDEN"]],
    ["who", await put("no", "who", bytes, { authorization: "Bearer x" }), [401, "INVALID_TOKEN"]],
  ] as const) {
    assert.deepEqual(await refusal(response), refused, id);
    assert.deepEqual(await refusal(await get("no", id)), [404, "NOT_FOUND"], id);
  }
  const { body } = await worker.publish("/chat/no", { type: "step" });
  assert.equal(body.messages[0].seq, 1, "nobody was told of any");
});

test("a body without a length is no file, and one that breaks off none either", async () => {
  const length = await new Promise<number>((resolve, reject) => {
    const request = httpRequest(path("length", "f"), { method: "PUT", headers: headers() }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on("error", reject);
    request.write("%PDF-");
    request.end("1.7");
  });
  assert.equal(length, 400);
  await new Promise<void>((resolve) => {
    const announced = { ...headers(), "content-type": "application/pdf", "content-length": 100_000 };
    const request = httpRequest(path("length", "g"), { method: "PUT", headers: announced });
    request.on("error", () => resolve());
    request.write(pdf(50_000), () => setTimeout(() => request.destroy(), 200));
  });
  assert.deepEqual(await refusal(await get("length", "g")), [404, "NOT_FOUND"]);
  const bytes = pdf(100_000);
  assert.equal((await put("length", "g", bytes)).status, 200, "it may be tried again");
});

test("an id is its user's, whichever way the file came", async () => {
  const bytes = pdf(1_000);
  assert.equal((await put("ids", "f", bytes)).status, 200);
  assert.deepEqual(await refusal(await put("ids", "f", bytes, {}, { sub: "bia" })), [409, "ID_TAKEN"]);
  using bia = await open("ids", "bia");
  announce(bia, "f", bytes);
  assert.equal((await bia.next()).data.code, "ID_TAKEN");
});

test("who may not hear the chat has none of its files", async () => {
  assert.equal((await put("closed", "f", pdf(1_000))).status, 200);
  const claims = { sub: "bia", rooms: ["chat:other"] };
  assert.deepEqual(await refusal(await get("closed", "f", {}, claims)), [403, "FORBIDDEN"]);
  assert.deepEqual(await refusal(await fetch(path("closed", "f"))), [401, "INVALID_TOKEN"]);
});

test("the files of a session are its owner's, and of who was invited", async () => {
  const own = await TestWorker.start();
  await using _ = own;
  using _ana = await open("hers", "ana", own);
  const session = own.url("/api/v1/ws/chat/hers");
  const as = (sub: string, path: string, init: RequestInit = {}) =>
    fetch(`${session}/${path}`, { ...init, headers: { authorization: `Bearer ${own.token({ sub })}` } });
  const file = { method: "PUT", body: new Uint8Array(pdf(1_000)) };
  assert.equal((await as("ana", "files/f", file)).status, 200);
  assert.deepEqual(await refusal(await as("bia", "files/f")), [403, "FORBIDDEN"]);
  assert.deepEqual(await refusal(await as("bia", "files/g", file)), [403, "FORBIDDEN"]);
  assert.equal((await as("ana", "participants/bia", { method: "PUT" })).status, 200);
  assert.equal((await as("bia", "files/f")).status, 200);
  assert.equal((await as("bia", "files/g", file)).status, 200);
  assert.equal((await as("ana", "", { method: "DELETE" })).status, 200);
  assert.deepEqual(await refusal(await as("ana", "files/f")), [404, "NOT_FOUND"]);
});

test("without a bucket files are refused, and all else works", async () => {
  const bare = await TestWorker.start({ bucket: false });
  await using _ = bare;
  using client = await open("s", "ana", bare);
  announce(client, "f", pdf(100));
  const { data } = await client.next();
  assert.deepEqual([data.code, data.original_type, data.file_id], ["FILES_UNAVAILABLE", "upload", "f"]);
  const auth = { authorization: `Bearer ${bare.token({})}`, "content-type": "application/pdf" };
  const url = bare.url("/api/v1/ws/chat/s/files/f");
  const response = await fetch(url, { method: "PUT", headers: auth, body: new Uint8Array(pdf(100)) });
  assert.deepEqual(await refusal(response), [503, "FILES_UNAVAILABLE"]);
  assert.deepEqual(await refusal(await fetch(url, { headers: auth })), [404, "NOT_FOUND"]);
  await bare.publish("/chat/s", { type: "step" });
  assert.equal((await client.next()).type, "step");
});
