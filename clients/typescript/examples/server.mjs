// What the examples are served by: files, and tokens for development. A real page gets its token from its backend.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { devSecret } from "../../../scripts/secret.mjs";
import { sign } from "../../../scripts/token.mjs";

const HOST = "127.0.0.1";
const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
};
const TOKEN_SECONDS = 3_600;

/**
 * Serves `folders`, by the path that each begins with, and `/token?user=ana`.
 * @param {Record<string, URL>} folders
 * @param {{ port?: number, secret?: string }} [options]
 */
export function serve(folders, { port = Number(process.env.PORT ?? 5173), secret = devSecret() } = {}) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "/", `http://${HOST}`);
    if (url.pathname === "/token") return response.end(token(url.searchParams.get("user") ?? "ana", secret));
    await answerFile(folders, url.pathname, response);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, HOST, () => resolve(server));
  });
}

function token(user, secret) {
  const iat = Math.floor(Date.now() / 1_000);
  return sign({ sub: user, role: "user", type: "access", iat, exp: iat + TOKEN_SECONDS }, secret);
}

async function answerFile(folders, path, response) {
  const prefix = Object.keys(folders)
    .sort((a, b) => b.length - a.length)
    .find((each) => path.startsWith(each));
  const name = normalize(decodeURIComponent(path.slice(prefix.length)) || "index.html");
  if (name.startsWith("..")) return response.writeHead(404).end();
  try {
    const body = await readFile(join(fileURLToPath(folders[prefix]), name));
    response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream" }).end(body);
  } catch {
    response.writeHead(404).end("Not found");
  }
}
