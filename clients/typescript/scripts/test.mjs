// Builds, checks types, tests with coverage, tests against the real worker, in a browser and in other runtimes, and
// prints the size.
//   node scripts/test.mjs [unit | worker | browser | runtimes]
// All but the first need the repository's build/, a browser, or npm's registry once: what is missing is skipped, but not
// in CI.
import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { installRuntimes } from "./runtimes.mjs";
import { node, PACKAGE, TSC } from "./tools.mjs";

/** What has to be covered, branch by branch: everything that decides, and nothing that only carries out. */
const PURE =
  "answer backoff chat credentials errors inbox liveness machine outbox pace position presence protocol ready state subscriptions text time upload verdict";
const COVERAGE = [
  "--experimental-test-coverage",
  "--test-coverage-branches=95",
  "--test-coverage-lines=95",
  ...PURE.split(" ").map((name) => `--test-coverage-include=src/${name}.ts`),
];
const RUNTIME = ["--test-force-exit", "--test-timeout=120000", "--test-concurrency=2"];
const HOOKS = ["tests/react/chat.test.ts", "tests/react/rooms.test.ts"];
const PARTS = ["unit", "worker", "browser", "runtimes"];

const chosen = process.argv[2];
if (chosen !== undefined && !PARTS.includes(chosen)) fail(`"${chosen}" is none of ${PARTS.join(", ")}`);
const tests = (...folders) => folders.flatMap((folder) => globSync(`${folder}/*.test.ts`, { cwd: PACKAGE }).sort());
const isBuilt = existsSync(join(PACKAGE, "../../build/index_bg.wasm"));

node("scripts/build.mjs");
for (const folder of ["tests", "tests/react", "tests/worker", "tests/browser", "tests/runtimes"]) {
  node(TSC, "--noEmit", "-p", `${folder}/tsconfig.json`);
}
for (const part of chosen ? [chosen] : PARTS) run(part);
node("scripts/size.mjs");

function run(part) {
  console.log(`· tests: ${part}`);
  if (part === "unit")
    node("--test", "--test-timeout=60000", ...COVERAGE, ...tests("tests", "tests/react", "tests/tabs"));
  else if (part === "runtimes") runInRuntimes();
  else runWithWorker(part);
}

function runWithWorker(part) {
  const files = tests(`tests/${part}`);
  if (isBuilt) node("--test", ...RUNTIME, ...files);
  else skip(files, "the worker is not built: npm run build");
}

/** In those, and the hooks with the oldest React. */
function runInRuntimes() {
  const problem = installRuntimes();
  if (problem) return skip([...tests("tests/runtimes"), ...HOOKS], problem);
  runWithWorker("runtimes");
  node("--test", "--test-timeout=60000", "--test-concurrency=2", "--import=./tests/runtimes/react18.mjs", ...HOOKS);
}

function skip(files, reason) {
  if (process.env.CI) fail(reason);
  console.log(`﹣ ${files.length} files # SKIP ${reason}`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
