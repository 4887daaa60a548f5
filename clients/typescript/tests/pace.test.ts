import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Pace } from "../src/pace.ts";
import type { SocketConstructor } from "../src/types.ts";
import { FakeSocket, offlineClient, settle } from "./support/socket.ts";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

/** Sends as much as may be on its way, which arrives after `ms`. */
function round(pace: Pace, ms: number): number {
  const { bytes } = pace;
  pace.sent(bytes, 0);
  pace.arrived(bytes, ms);
  return pace.bytes;
}

test("what arrives within a second may be doubled, what takes over three is halved", () => {
  const pace = new Pace();
  assert.equal(pace.bytes, 32_768);
  assert.deepEqual(
    [1_000, 1_001, 3_000, 3_001, 9_000].map((ms) => round(pace, ms)),
    [65_536, 65_536, 65_536, 32_768, 16_384],
  );
  for (let rounds = 0; rounds < 9; rounds += 1) round(pace, 9_000);
  assert.equal(pace.bytes, 4_096);
  for (let rounds = 0; rounds < 19; rounds += 1) round(pace, 1);
  assert.equal(pace.bytes, 1_048_576);
});

test("a break with bytes on their way begins small again, one without changes nothing", () => {
  const pace = new Pace();
  pace.broken();
  assert.equal(pace.bytes, 32_768);
  for (let rounds = 0; rounds < 5; rounds += 1) round(pace, 1);
  pace.sent(1, 0);
  pace.arrived(0, 9_000);
  pace.broken();
  assert.equal(pace.bytes, 32_768);
  pace.sent(1, 0);
  pace.broken();
  assert.equal(pace.bytes, 16_384);
  pace.arrived(9, 9_000);
  assert.equal(pace.bytes, 16_384, "what comes later is of before");
});

const BYTES_PER_SECOND = 6_000;

/** What it sends goes out at 6 KB/s, and what has gone out is answered. */
class SlowSocket extends FakeSocket {
  /** The server's, whatever becomes of connections. */
  static stored = Buffer.alloc(0);
  static size = 0;
  static pings = 0;
  /** What waits to go out: how long it is, and what the server does about it. */
  readonly #waiting: { left: number; arrived: () => void }[] = [];

  override send(data: string | Uint8Array): void {
    if (typeof data !== "string") this.#queue(data.length, () => this.#store(data));
    else this.#queue(data.length, () => this.#hear(JSON.parse(data)));
  }

  /** A tenth of a second. */
  drain(): void {
    for (let bytes = BYTES_PER_SECOND / 10; bytes > 0 && this.#waiting[0]; ) {
      const [first] = this.#waiting;
      const gone = Math.min(bytes, first.left);
      first.left -= gone;
      bytes -= gone;
      if (first.left > 0) return;
      this.#waiting.shift();
      first.arrived();
    }
  }

  #queue(left: number, arrived: () => void): void {
    this.#waiting.push({ left, arrived });
  }

  #hear({ type, id, data }: { type: string; id: string; data: { size: number } }): void {
    SlowSocket.pings += type === "ping" ? 1 : 0;
    if (type === "ping") this.say("pong", {});
    if (type !== "upload") return;
    SlowSocket.size = data.size;
    this.say("upload_ready", { file_id: id, handle: 7, offset: SlowSocket.stored.length, size: data.size });
  }

  #store(frame: Uint8Array): void {
    const offset = Number(new DataView(frame.buffer).getBigUint64(4));
    const { stored, size } = SlowSocket;
    assert.ok(offset <= stored.length, "no hole");
    SlowSocket.stored = Buffer.concat([stored.subarray(0, offset), frame.subarray(12)]);
    this.say("upload_progress", { file_id: "file-1", offset: SlowSocket.stored.length, size });
    if (SlowSocket.stored.length === size) this.say("upload_complete", { file_id: "file-1", size, url: "/u", seq: 1 });
  }
}

/** Uploads so much, over connections that live for `lifetime`. How many there were. */
async function upload(size: number, lifetime: number): Promise<{ dials: number; seconds: number }> {
  SlowSocket.stored = Buffer.alloc(0);
  SlowSocket.pings = 0;
  const file = Uint8Array.from({ length: size }, (_, index) => index % 251);
  const chat = offlineClient({ WebSocket: SlowSocket as unknown as SocketConstructor }).chat("s");
  let isDone = false;
  const done = chat.upload(file, { id: "file-1" }).then(() => {
    isDone = true;
  });
  await settle();
  const dialed = new Set<FakeSocket>();
  let tenths = 0;
  for (let age = 0; !isDone; tenths += 1) {
    assert.ok(tenths < 36_000, `${SlowSocket.stored.length} bytes after an hour`);
    const socket = FakeSocket.last as SlowSocket;
    age = dialed.has(socket) ? age + 100 : 0;
    dialed.add(socket);
    if (socket.readyState === 0) socket.welcome();
    if (age >= lifetime) socket.break();
    else if (socket.readyState === 1) socket.drain();
    mock.timers.tick(100);
    await turn();
    await turn();
  }
  await done;
  const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  assert.equal(hash(SlowSocket.stored), hash(file));
  return { dials: dialed.size, seconds: tenths / 10 };
}

test("at 6 KB/s a file arrives over one connection, which is alive all the while", async () => {
  const { dials } = await upload(600_000, Number.POSITIVE_INFINITY);
  assert.equal(dials, 1);
  assert.ok(SlowSocket.pings >= 3);
});

test("at 6 KB/s a file arrives over connections that break every 30 seconds", async () => {
  const { dials, seconds } = await upload(600_000, 30_000);
  assert.ok(dials > 3 && seconds < 200, `${dials} connections, ${seconds} s for what takes 100`);
});
