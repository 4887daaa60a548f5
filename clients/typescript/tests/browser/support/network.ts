// The network between pages and the worker, which a test can break.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export class Network implements AsyncDisposable {
  readonly #target: number;
  readonly #server = createServer((socket) => this.#carry(socket));
  readonly #sockets = new Set<Socket>();
  #isUp = true;

  static async to(url: string): Promise<Network> {
    const network = new Network(Number(new URL(url).port));
    await once(network.#server.listen(0, "127.0.0.1"), "listening");
    return network;
  }

  private constructor(target: number) {
    this.#target = target;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Breaks every connection, and lets none through until `mend`. */
  cut(): void {
    this.#isUp = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Carries nothing more on what is open now, without a word to either end. */
  stall(): void {
    for (const socket of this.#sockets) socket.unpipe();
  }

  mend(): void {
    this.#isUp = true;
  }

  #carry(socket: Socket): void {
    if (!this.#isUp) {
      socket.destroy();
      return;
    }
    const other = connect(this.#target, "127.0.0.1");
    for (const [one, two] of [
      [socket, other],
      [other, socket],
    ] as const) {
      this.#sockets.add(one);
      one.pipe(two);
      one.on("error", () => two.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        two.destroy();
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }
}
