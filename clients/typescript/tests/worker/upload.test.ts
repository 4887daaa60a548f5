// Files on their way into a chat, over connections that break.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import type { Message, UploadedFile } from "../../src/index.ts";
import { collect, connect, guest, Network, until } from "./support.ts";

const worker = await TestWorker.start();
after(() => worker[Symbol.asyncDispose]());

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A PDF of so many bytes, as far as its first ones say. */
function pdf(size: number): File {
  const bytes = Buffer.concat([Buffer.from("%PDF-1.7\n"), randomBytes(size - 9)]);
  return new File([bytes], "nota fiscal.pdf", { type: "application/pdf" });
}

function download({ url }: Pick<UploadedFile, "url">): Promise<Response> {
  return fetch(worker.url(url), { headers: { authorization: `Bearer ${worker.token({ sub: "ana" })}` } });
}

test("5 MB over a connection that breaks twice arrive as they are, and are told of once", async () => {
  const network = new Network(worker);
  await using ana = connect(worker, { WebSocket: network.WebSocket });
  const chat = ana.chat("large");
  await chat.ready();
  await using bia = connect(worker, guest(worker, "bia"));
  const other = bia.chat("large");
  const heard = collect(other);
  await other.ready();
  const file = pdf(5_000_000);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const progress: number[] = [];
  const breaks = [1_000_000, 3_000_000];
  const done = await chat.upload(file, {
    onProgress: ({ sent, size }) => {
      assert.equal(size, bytes.length);
      progress.push(sent);
      if (sent < (breaks[0] ?? Number.POSITIVE_INFINITY)) return;
      breaks.shift();
      network.cut();
    },
  });
  assert.deepEqual(breaks, []);
  assert.equal(network.frames.filter((text) => text.startsWith('{"type":"upload_ready"')).length, 3);
  assert.deepEqual(
    progress,
    progress.toSorted((a, b) => a - b),
    "what is stored stays stored",
  );
  assert.deepEqual([progress.at(0), progress.at(-1)], [0, bytes.length]);
  const want = { size: bytes.length, contentType: "application/pdf", sha256: sha256(bytes) };
  const { id, url, seq, ...rest } = done;
  assert.deepEqual([rest, seq], [want, 1]);
  assert.equal(sha256(new Uint8Array(await (await download(done)).arrayBuffer())), want.sha256);
  await until("the message", () => heard.length === 1);
  const { type, id: told, data } = heard[0] as Message<"file">;
  assert.deepEqual([type, told, data.name, data.url], ["file", id, "nota fiscal.pdf", url]);
  assert.deepEqual(await chat.upload(file, { id }), done, "it is there already");
  assert.equal(url, `/api/v1/ws/chat/large/files/${id}`);
});

test("two files go side by side, one of them a text without a type", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("two");
  const [first, second] = await Promise.all([
    chat.upload(pdf(600_000)),
    chat.upload(new TextEncoder().encode("a;b\n1;2\n"), { name: "dados.csv" }),
  ]);
  assert.equal((await (await download(first)).arrayBuffer()).byteLength, 600_000);
  assert.deepEqual([second?.contentType, await (await download(second)).text()], ["text/csv", "a;b\n1;2\n"]);
});

test("an upload that is given up is gone there too, and its id is free again", async () => {
  const network = new Network(worker);
  await using ana = connect(worker, { WebSocket: network.WebSocket });
  const chat = ana.chat("aborted");
  const controller = new AbortController();
  const stopped = chat.upload(pdf(3_000_000), {
    id: "f-1",
    signal: controller.signal,
    onProgress: ({ sent }) => sent > 0 && controller.abort(),
  });
  await assert.rejects(stopped, { name: "AbortError" });
  await until("the end there", () => network.has("upload_aborted"));
  assert.equal((await download({ url: "/api/v1/ws/chat/aborted/files/f-1" })).status, 404);
  const small = await chat.upload(pdf(1_000), { id: "f-1" });
  assert.deepEqual([small.size, small.id], [1_000, "f-1"]);
});

test("what is not taken is refused with its code", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("refused");
  const page = new File(["<html><script>1</script></html>"], "a.html", { type: "text/html" });
  await assert.rejects(chat.upload(page), { code: "FILE_TYPE_NOT_ALLOWED" });
  const liar = new File([randomBytes(100_000)], "foto.png", { type: "image/png" });
  await assert.rejects(chat.upload(liar), { code: "FILE_TYPE_NOT_ALLOWED" });
  await assert.rejects(chat.upload(new Blob([])), { code: "INVALID_FILE" });
  await assert.rejects(chat.upload(pdf(100), { name: "../a.pdf" }), { code: "INVALID_FILE" });
  await chat.upload(pdf(1_000), { id: "taken" });
  await assert.rejects(chat.upload(pdf(2_000), { id: "taken" }), { code: "INVALID_FILE" });
  await using bia = connect(worker, guest(worker, "bia"));
  await assert.rejects(bia.chat("refused").upload(pdf(1_000), { id: "taken" }), { code: "ID_TAKEN" });
});
