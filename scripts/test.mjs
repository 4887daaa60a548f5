// `npm test`: the host's tests, then both builds and the tests that drive them in workerd.
//   npm test -- host              only the first half
//   npm test -- workerd [name]    only the second half, or the files of it whose path holds `name`
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { buildFaults, buildRelease } from "./build.mjs";
import { Failure, main, NODE, ROOT, run, say } from "./project.mjs";
import { python } from "./python.mjs";
import { setup } from "./setup.mjs";

const FOLDER = "miniflare-tests";

function testHost(env) {
  say("the host's tests");
  run("cargo", ["test", "--locked"], { env });
}

function testWorkerd(env, name) {
  const files = testFiles(name);
  const interpreter = python();
  buildRelease(env);
  buildFaults(env);
  say(`${files.length} test files against workerd`);
  run(NODE, ["--test", "--test-force-exit", "--test-reporter=spec", `--test-concurrency=${concurrency()}`, ...files], {
    env: { ...env, ...(interpreter && { PYTHON: interpreter }) },
  });
}

function testFiles(name = "") {
  const folder = join(ROOT, FOLDER);
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true }) : [];
  const matching = files
    .map((file) => join(FOLDER, file))
    .filter((file) => file.endsWith(".test.ts") && file.includes(name));
  if (matching.length === 0) throw new Failure(`no test file of ${FOLDER}/ matches "${name}"`);
  return matching.sort();
}

/** Each file runs a workerd and mostly waits for it: two fit on any machine. */
function concurrency() {
  return Math.max(2, availableParallelism() - 1);
}

await main(() => {
  const [half, name] = process.argv.slice(2);
  if (half !== undefined && half !== "host" && half !== "workerd") {
    throw new Failure(`"${half}" is not a half of the tests: npm test -- [host | workerd [name]]`);
  }
  const env = setup();
  if (half !== "workerd") testHost(env);
  if (half !== "host") testWorkerd(env, name);
});
