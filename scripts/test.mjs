// `npm test`: the host's tests, then both builds and the tests that drive them in workerd, then those of the clients.
//   npm test -- host                           only the first part
//   npm test -- workerd [name]                 only the second part, or the files of it whose path holds `name`
//   npm test -- clients [typescript | python]  only the third part, or one of the clients
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { buildFaults, buildRelease } from "./build.mjs";
import { Failure, main, NODE, ROOT, run, say } from "./project.mjs";
import { checkClient, python } from "./python.mjs";
import { setup } from "./setup.mjs";

const FOLDER = "miniflare-tests";
const PARTS = { host: testHost, workerd: testWorkerd, clients: testClients };
const CLIENTS = {
  typescript: (env) => run(NODE, ["clients/typescript/scripts/test.mjs"], { env }),
  python: checkClient,
};

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

function testClients(env, name) {
  if (name !== undefined && !(name in CLIENTS)) throw new Failure(`no client is called "${name}": typescript, python`);
  buildRelease(env);
  for (const client of name ? [name] : Object.keys(CLIENTS)) {
    say(`the ${client} client's tests`);
    CLIENTS[client](env);
  }
}

/** Each file runs a workerd and mostly waits for it: two fit on any machine. */
function concurrency() {
  return Math.max(2, availableParallelism() - 1);
}

await main(() => {
  const [part, name] = process.argv.slice(2);
  if (part !== undefined && !(part in PARTS)) {
    throw new Failure(`"${part}" is no part of the tests: npm test -- [host | workerd [name] | clients [name]]`);
  }
  const env = setup();
  for (const test of part ? [PARTS[part]] : Object.values(PARTS)) test(env, name);
});
