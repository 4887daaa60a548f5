// Builds, checks types, tests with coverage, tests against the real worker if it is built, and prints the size.
//   node scripts/test.mjs [unit | worker]
import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { node, PACKAGE, TSC } from "./tools.mjs";

/** What has to be covered, branch by branch: everything that decides, and nothing that only carries out. */
const PURE = [
  ..."backoff credentials errors inbox liveness machine outbox position protocol subscriptions time verdict".split(" "),
].map((name) => `--test-coverage-include=src/${name}.ts`);

const half = process.argv[2];
const files = (pattern) => globSync(pattern, { cwd: PACKAGE }).sort();

node("scripts/build.mjs");
for (const tests of ["tests", "tests/worker"]) node(TSC, "--noEmit", "-p", `${tests}/tsconfig.json`);
if (half !== "worker") {
  const coverage = ["--experimental-test-coverage", "--test-coverage-branches=95", "--test-coverage-lines=95", ...PURE];
  node("--test", "--test-timeout=60000", ...coverage, ...files("tests/*.test.ts"));
}
if (half !== "unit" && existsSync(join(PACKAGE, "../../build/index.js"))) {
  node(
    "--test",
    "--test-force-exit",
    "--test-timeout=120000",
    "--test-concurrency=2",
    ...files("tests/worker/*.test.ts"),
  );
}
node("scripts/size.mjs");
