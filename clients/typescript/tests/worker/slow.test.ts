// A thin line to the real server, which breaks again and again; and words that no server can read.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type AddressInfo, createServer, connect as dial, type Server as Listener, type Socket } from "node:net";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import { connect } from "./support.ts";

const worker = await TestWorker.start();
after(() => worker[Symbol.asyncDispose]());

const CHUNK_BYTES = 2_000;
const CHUNK_MS = 100;
/** A connection carries so much to the server, and breaks. */
const LIFE_BYTES = 45_000;

/** Carries to the server 20 KB a second, and back whatever comes. */
class Relay {
  connections = 0;
  readonly #listener: Listener;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#listener = createServer((near) => this.#carry(near));
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#listener.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(near: Socket): void {
    const far = dial(Number(new URL(worker.url("")).port), "127.0.0.1");
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        near.destroy();
        far.destroy();
      });
    }
    this.connections += 1;
    far.pipe(near);
    this.#trickle(near, far).catch(() => {});
  }

  async #trickle(near: Socket, far: Socket): Promise<void> {
    let carried = 0;
    for await (const bytes of near) {
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
        const chunk = bytes.subarray(at, at + CHUNK_BYTES);
        await sleep((CHUNK_MS * chunk.length) / CHUNK_BYTES);
        far.write(chunk);
        carried += chunk.length;
        if (carried > LIFE_BYTES) near.destroy();
      }
    }
  }
}

test("a file larger than what a connection carries arrives over several, on a thin line", async () => {
  const relay = new Relay();
  try {
    await using ana = connect(worker, { url: await relay.listen() });
    const file = Buffer.concat([Buffer.from("%PDF-1.7\n"), randomBytes(80_000)]);
    const seen: number[] = [];
    const done = await ana.chat("thin").upload(file, { name: "a.pdf", onProgress: ({ sent }) => seen.push(sent) });
    assert.equal(done.size, file.length);
    assert.ok(relay.connections >= 3, `${relay.connections} connections`);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
    );
  } finally {
    relay.close();
  }
});

test("halves of characters arrive as signs of replacement, in names and in questions", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("halves");
  const answer = chat.send("x\ud800", { ask: false });
  assert.equal((await answer.done).status, "completed");
  const file = await chat.upload(new TextEncoder().encode("a;b\n"), { name: "nota\ud83d.csv" });
  const headers = { authorization: `Bearer ${worker.token({ sub: "ana" })}` };
  const url = worker.url("/api/v1/ws/chat/halves/messages");
  const { messages } = (await (await fetch(url, { headers })).json()) as {
    messages: { data: { content?: string; name?: string } }[];
  };
  assert.deepEqual([messages[0]?.data.content, messages[1]?.data.name], ["x\ufffd", "nota\ufffd.csv"]);
  assert.equal(file.contentType, "text/csv");
});

test("what is too large fails, and the next goes out", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("large");
  const large = chat.send("?", { context: "x".repeat(1_048_000), ask: false });
  await assert.rejects(large.done, { code: "TOO_LARGE" });
  const name = "x".repeat(2_000_000);
  await assert.rejects(chat.upload(new TextEncoder().encode("a;b\n"), { name }), { code: "INVALID_FILE" });
  assert.equal((await chat.send("Oi", { ask: false }).done).status, "completed");
});
