// Builds, checks types, tests with coverage, tests against the real worker and in a browser, and prints the size.
//   node scripts/test.mjs [unit | worker | browser]
// The last two need the repository's build/, and a browser: what is missing is skipped, but not in CI.
import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { node, PACKAGE, TSC } from "./tools.mjs";

/** What has to be covered, branch by branch: everything that decides, and nothing that only carries out. */
const PURE =
  "answer backoff chat credentials errors inbox liveness machine outbox position presence protocol subscriptions time upload verdict";
const COVERAGE = [
  "--experimental-test-coverage",
  "--test-coverage-branches=95",
  "--test-coverage-lines=95",
  ...PURE.split(" ").map((name) => `--test-coverage-include=src/${name}.ts`),
];
const RUNTIME = ["--test-force-exit", "--test-timeout=120000", "--test-concurrency=2"];
const PARTS = ["unit", "worker", "browser"];

const chosen = process.argv[2];
if (chosen !== undefined && !PARTS.includes(chosen)) fail(`"${chosen}" is none of ${PARTS.join(", ")}`);
const tests = (...folders) => folders.flatMap((folder) => globSync(`${folder}/*.test.ts`, { cwd: PACKAGE }).sort());
const isBuilt = existsSync(join(PACKAGE, "../../build/index_bg.wasm"));

node("scripts/build.mjs");
for (const folder of ["tests", "tests/react", "tests/worker", "tests/browser"]) {
  node(TSC, "--noEmit", "-p", `${folder}/tsconfig.json`);
}
for (const part of chosen ? [chosen] : PARTS) run(part);
node("scripts/size.mjs");

function run(part) {
  console.log(`· tests: ${part}`);
  if (part === "unit")
    node("--test", "--test-timeout=60000", ...COVERAGE, ...tests("tests", "tests/react", "tests/tabs"));
  else if (isBuilt) node("--test", ...RUNTIME, ...tests(`tests/${part}`));
  else if (process.env.CI) fail("the worker is not built: npm run build");
  else console.log(`﹣ ${tests(`tests/${part}`).length} files # SKIP the worker is not built: npm run build`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
