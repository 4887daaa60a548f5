// The real worker, for the tests of the Python client. It prints its address and its secret as a line of JSON, obeys
// the lines on its standard input, answers each with a line of JSON, and ends when that is closed.

import { createInterface } from "node:readline";
import { SECRET, TestWorker } from "../../../miniflare-tests/support/worker.ts";

const settings = JSON.parse(process.argv[2] ?? "{}");
const worker = await TestWorker.start({ settings });

function say(what: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ url: worker.url(""), secret: SECRET, ...what })}\n`);
}

async function obey(line: string): Promise<void> {
  const [command, room = ""] = line.split(" ");
  if (command === "evict") await worker.evict(room);
  else if (command === "restart") await worker.restart();
  else if (command === "kill") await end();
  else throw new Error(`no such command: ${line}`);
}

async function end(): Promise<never> {
  await worker[Symbol.asyncDispose]();
  process.exit(0);
}

say({});
for await (const line of createInterface({ input: process.stdin })) {
  await obey(line).then(
    () => say({ done: line }),
    (error: Error) => say({ failed: error.message }),
  );
}
await end();
