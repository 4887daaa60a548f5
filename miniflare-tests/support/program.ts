// A program that a test runs beside the worker, and what it prints.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export class Program implements AsyncDisposable {
  #child: ChildProcess;
  #output = "";
  #printed = new EventTarget();

  constructor(command: string, args: string[], env: Record<string, string> = {}) {
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk) => {
        this.#output += chunk;
        this.#printed.dispatchEvent(new Event("printed"));
      });
    }
    this.#child.on("exit", () => this.#printed.dispatchEvent(new Event("printed")));
  }

  /** Waits until the output holds this text. */
  async prints(text: string, patience = 120_000): Promise<void> {
    const signal = AbortSignal.timeout(patience);
    while (!this.#output.includes(text)) {
      if (this.#child.exitCode !== null) throw new Error(`it ended without printing "${text}":\n${this.#output}`);
      await once(this.#printed, "printed", { signal }).catch(() => {
        throw new Error(`it did not print "${text}":\n${this.#output}`);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }
}
