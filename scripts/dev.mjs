// `npm start`: the worker on this machine, without an account and without a network.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Failure, main, NODE, ROOT } from "./project.mjs";
import { devSecret } from "./secret.mjs";
import { setup } from "./setup.mjs";

const HOST = "127.0.0.1";
const WRANGLER = join(ROOT, "node_modules/wrangler/wrangler-dist/cli.js");

/** How long wrangler may take to end before it is ended; workerd alone would wait for its last socket. */
const GRACE_MS = 4_000;

const QUIET = {
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
};

function readOptions() {
  const { values } = parseArgs({ options: { port: { type: "string" }, "persist-to": { type: "string" } } });
  return { port: choosePort(values), folder: values["persist-to"] };
}

function choosePort(values) {
  const port = Number(values.port ?? process.env.PORT ?? 8787);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Failure("the port must be a number from 1 to 65535");
  return port;
}

/** Wrangler would quietly take another port than the one that it was given. */
function refuseBusyPort(port) {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) =>
      reject(new Failure(`port ${port} is taken (${error.code}): npm start -- --port 8788`)),
    );
    probe.listen(port, HOST, () => probe.close(resolve));
  });
}

/** In a process group of its own, so that whatever it started can be ended with it. */
function startServer(port, folder, env) {
  const args = [WRANGLER, "dev", "--ip", HOST, "--port", String(port), "--show-interactive-dev-session=false"];
  if (folder) args.push("--persist-to", folder);
  return spawn(NODE, args, {
    cwd: ROOT,
    env: { ...env, ...QUIET },
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  });
}

function signalGroup(server, signal) {
  try {
    process.kill(-server.pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** Ends the server when this script is told to end, or when the npm that started it is gone. */
function endTogether(server) {
  let asked = false;
  const stop = () => {
    signalGroup(server, asked ? "SIGKILL" : "SIGTERM");
    asked = true;
    setTimeout(() => signalGroup(server, "SIGKILL"), GRACE_MS).unref();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop);
  const parent = process.ppid;
  const watch = setInterval(() => process.ppid !== parent && !asked && stop(), 500);
  watch.unref();
  return ended(server).then((status) => (asked ? 0 : status));
}

function ended(server) {
  return new Promise((resolve) => {
    server.once("exit", (status) => {
      signalGroup(server, "SIGKILL");
      resolve(status ?? 1);
    });
  });
}

async function announce(server, port) {
  while (server.exitCode === null && server.signalCode === null) {
    if (await answers(port)) return greet(port);
    await sleep(250);
  }
}

function answers(port) {
  const request = fetch(`http://${HOST}:${port}/`, { signal: AbortSignal.timeout(2_000) });
  return request.then(
    () => true,
    () => false,
  );
}

function greet(port) {
  const listen = "const s = new WebSocket(process.argv[1]); s.onmessage = (m) => console.log(m.data)";
  const chat = `s.onopen = () => s.send(JSON.stringify({ type: "chat", data: { content: "Olá!" } }))`;
  console.log(`
Ready on http://${HOST}:${port}. In another terminal, mint a token and connect:

  TOKEN=$(npm run -s token -- --sub ana)
  npx node -e '${listen}' "ws://${HOST}:${port}/api/v1/ws?token=$TOKEN"

Or say something in a chat. Where no AGENT_URL is set, a demonstration answers:

  npx node -e '${listen}; ${chat}' "ws://${HOST}:${port}/api/v1/ws/chat/1?token=$TOKEN"
`);
}

await main(async () => {
  const { port, folder } = readOptions();
  await refuseBusyPort(port);
  const env = setup();
  devSecret();
  const server = startServer(port, folder, env);
  const status = endTogether(server);
  await announce(server, port);
  process.exitCode = await status;
});
