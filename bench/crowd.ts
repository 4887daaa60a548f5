// Sockets by the hundred that only listen: they count frames and look into none of them.

import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { routeOf } from "../miniflare-tests/support/ledger.ts";
import type { Server } from "../miniflare-tests/support/runtime.ts";

/** How many connect at the same time. */
const TOGETHER = 50;
const ACK_MS = 100;
const QUIET_MS = 1_000;

/** How they listen: in the room, confirming or not, or on their general connections. */
export type Manner = "watch" | "confirm" | "follow";

export class Crowd {
  #sockets: WebSocket[] = [];
  #frames = 0;
  #acks: NodeJS.Timeout[] = [];

  /** So many users, each with one socket, who hear the room. */
  static async gather(server: Server, room: string, size: number, manner: Manner): Promise<Crowd> {
    const crowd = new Crowd();
    for (let n = 0; n < size; n += TOGETHER) {
      const some = Array.from({ length: Math.min(TOGETHER, size - n) }, (_, m) => `listener-${n + m}`);
      await Promise.all(some.map((sub) => crowd.#join(server, room, sub, manner)));
    }
    return crowd;
  }

  /** Frames that have come, to all together. */
  get frames(): number {
    return this.#frames;
  }

  /** Waits until no more frames come. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== this.#frames; ) {
      before = this.#frames;
      await sleep(QUIET_MS);
    }
  }

  leave(): void {
    for (const timer of this.#acks) clearInterval(timer);
    for (const socket of this.#sockets) socket.terminate();
  }

  async #join(server: Server, room: string, sub: string, manner: Manner): Promise<void> {
    const path = manner === "follow" ? "/api/v1/ws" : `${routeOf(room)}${manner === "confirm" ? "?acks=true" : ""}`;
    const headers = { authorization: `Bearer ${server.token({ sub })}` };
    const socket = new WebSocket(server.url(path, "ws"), ["cidadao.v1"], { headers, perMessageDeflate: false });
    this.#sockets.push(socket);
    await comes(socket, "connection");
    if (manner === "follow") await subscribe(socket, room);
    if (manner === "confirm") this.#confirm(socket);
    socket.on("message", () => this.#frames++);
  }

  #confirm(socket: WebSocket): void {
    let [newest, confirmed] = [0, 0];
    socket.on("message", (frame) => {
      newest = Math.max(newest, newestIn(frame.toString()));
    });
    const confirm = () => {
      if (newest > confirmed) socket.send(JSON.stringify({ type: "ack", data: { seq: newest } }));
      confirmed = newest;
    };
    this.#acks.push(setInterval(confirm, ACK_MS));
  }
}

async function subscribe(socket: WebSocket, room: string): Promise<void> {
  const [kind, id] = room.split(/:(.*)/s);
  socket.send(JSON.stringify({ type: "subscribe", data: { [`${kind}_id`]: id } }));
  await comes(socket, "subscribed");
}

/** The next frame, which has to be of that type. */
async function comes(socket: WebSocket, type: string): Promise<void> {
  const [frame] = await once(socket, "message");
  if (!String(frame).startsWith(`{"type":"${type}`)) throw new Error(`${type} expected, got ${frame}`);
}

/** The `seq` of the last message in a frame or batch; the messages of these programs have none in their data. */
function newestIn(text: string): number {
  const at = text.lastIndexOf('"seq":');
  return at < 0 ? 0 : Number.parseInt(text.slice(at + 6), 10);
}
