// A Python with the `websockets` package, for the test that talks to the worker as Python programs do, and with all that
// the Python client needs for its own tests.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, PINS, ROOT, read, run, say, TOOLS } from "./project.mjs";

const FOLDER = join(TOOLS, "python");
const PYTHON = join(FOLDER, "bin/python");
const CLIENT = join(ROOT, "clients/python");
const STAMP = join(FOLDER, "client-tests");
// The client runs with 3.10 too, and an older websockets; the one that is pinned here wants 3.11.
const IS_RECENT = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
const VERSION = "from importlib.metadata import version; print(version('websockets'))";

/** The interpreter's path; undefined where there is no Python to make it from, which CI does not accept. */
export function python() {
  if (read(PYTHON, ["-c", VERSION]) === PINS.websockets) return PYTHON;
  if (read("python3", ["-c", IS_RECENT]) === undefined) return missing();
  say(`a Python environment with websockets ${PINS.websockets} (about 10 s)`);
  run("python3", ["-m", "venv", "--clear", FOLDER]);
  pip("install", `websockets==${PINS.websockets}`);
  return PYTHON;
}

/** The same interpreter, with the client's dependencies and the tools of its tests, but not the client: tests run src/. */
export function pythonOfClient() {
  const interpreter = python();
  const wanted = readFileSync(join(CLIENT, "pyproject.toml"), "utf8") + PINS.websockets;
  if (!interpreter || (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted)) return interpreter;
  say("what the tests of the Python client need (about 20 s)");
  pip("install", `${CLIENT}[test]`, `websockets==${PINS.websockets}`);
  pip("uninstall", "--yes", "cidadao-realtime");
  writeFileSync(STAMP, wanted);
  return interpreter;
}

/** Format, lints, types, tests and coverage of the Python client. Its tests with the worker want build/. */
export function checkClient(env) {
  const interpreter = pythonOfClient();
  if (interpreter) run(interpreter, [join(CLIENT, "scripts/check.py")], { env });
}

function pip(...args) {
  run(PYTHON, ["-m", "pip", "--quiet", "--disable-pip-version-check", ...args]);
}

function missing() {
  const message = "no python3 ≥ 3.11 with venv (Debian: apt-get install python3-venv)";
  if (process.env.CI) throw new Failure(message);
  say(`${message}: the test of a Python client is skipped`);
  return undefined;
}
