// What a newcomer does: `npm start`, a token, and the client examples as they were published.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Guest } from "./support/chat.ts";
import { Program } from "./support/program.ts";

const folder = mkdtempSync(join(tmpdir(), "published-"));
let port: number;
let server: Program;
let service: string;

before(async () => {
  port = await freePort();
  server = new Program("npm", ["start", "--", "--port", String(port), "--persist-to", join(folder, "state")]);
  await server.prints(`Ready on http://127.0.0.1:${port}`, 300_000);
  service = token("--sub", "backend", "--role", "service");
});
after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

function token(...args: string[]): string {
  return execFileSync("npm", ["run", "--silent", "token", "--", ...args], { encoding: "utf8" }).trim();
}

/** The example with this server's address and a token in the places where it has those of the old one. */
function example(name: string, user: string): string {
  const source = readFileSync(new URL(`published/${name}`, import.meta.url), "utf8");
  const file = join(folder, name);
  writeFileSync(
    file,
    source.replace("wss://cidadao-api.com", `ws://127.0.0.1:${port}`).replace("JWT_TOKEN", token("--sub", user)),
  );
  return file;
}

async function subscribed(user: string): Promise<void> {
  for (const signal = AbortSignal.timeout(30_000); ; ) {
    const url = `http://127.0.0.1:${port}/api/v1/ws/health?room=user:${user}`;
    const response = await fetch(url, { headers: { authorization: `Bearer ${service}` }, signal });
    const { subscriptions } = (await response.json()) as { subscriptions: number };
    if (subscriptions === 1) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function publish(message: unknown): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/ws/investigations/inv-123/messages`, {
    method: "POST",
    headers: { authorization: `Bearer ${service}` },
    body: JSON.stringify(message),
  });
  assert.equal(response.status, 200);
}

test("a question in a chat is answered out of the box", async () => {
  const server = {
    url: (path: string, scheme = "http") => `${scheme}://127.0.0.1:${port}${path}`,
    token: ({ sub }: { sub?: string }) => token("--sub", sub ?? "cai"),
  };
  using cai = await Guest.join(server, "/chat/newcomer", "cai");
  assert.equal((await cai.say("Quanto custou a ponte?")).type, "ack");
  const { data } = await cai.completed();
  assert.equal(data.status, "completed");
  assert.match(data.content, /demonstração.*“Quanto custou a ponte\?”/);
});

test("the JavaScript example shows what a backend publishes", async () => {
  const page = new URL("published/page.mjs", import.meta.url).pathname;
  await using client = new Program(process.execPath, ["--import", page, example("client.js", "ana")]);
  await subscribed("ana");
  await publish({ type: "investigation_update", data: { status: "running" } });
  await client.prints('Update: {"status":"running"}');
  await publish({ type: "anomaly_detected", data: { severity: "high" } });
  await client.prints('Anomaly: {"severity":"high"}');
});

const python = process.env.PYTHON;
test("the Python example shows what a backend publishes", { skip: !python && "no Python here" }, async () => {
  await using client = new Program(python ?? "", ["-u", example("client.py", "bea")]);
  await subscribed("bea");
  await publish({ type: "investigation_update", data: { status: "done" } });
  await client.prints("Update: {'status': 'done'}");
  await publish({ type: "anomaly_detected", data: { severity: "low" } });
  await client.prints("Anomaly: {'severity': 'low'}");
});
