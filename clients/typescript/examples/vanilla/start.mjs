// Compiles the library to dist/, bundles nothing, and serves the page: node clients/typescript/examples/vanilla/start.mjs

import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "../server.mjs";

const DIST = new URL("../../dist/", import.meta.url);

/** `outDir` is where the library's modules go. */
export function compile(outDir = fileURLToPath(DIST)) {
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  const project = fileURLToPath(new URL("../../tsconfig.json", import.meta.url));
  execFileSync(process.execPath, [tsc, "--project", project, "--outDir", outDir], { stdio: "inherit" });
}

if (import.meta.filename === process.argv[1]) {
  compile();
  const server = await serve({ "/": new URL("./", import.meta.url), "/realtime/": DIST });
  console.log(`http://127.0.0.1:${server.address().port}/`);
}
