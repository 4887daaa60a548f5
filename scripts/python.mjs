// A Python with the `websockets` package, for the test that talks to the worker as Python programs do.
import { join } from "node:path";
import { Failure, PINS, read, run, say, TOOLS } from "./project.mjs";

const FOLDER = join(TOOLS, "python");
const PYTHON = join(FOLDER, "bin/python");
const IS_RECENT = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
const VERSION = "from importlib.metadata import version; print(version('websockets'))";

/** The interpreter's path; undefined where there is no Python to make it from, which CI does not accept. */
export function python() {
  if (read(PYTHON, ["-c", VERSION]) === PINS.websockets) return PYTHON;
  if (read("python3", ["-c", IS_RECENT]) === undefined) return missing();
  say(`a Python environment with websockets ${PINS.websockets} (about 10 s)`);
  run("python3", ["-m", "venv", "--clear", FOLDER]);
  run(PYTHON, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `websockets==${PINS.websockets}`]);
  return PYTHON;
}

function missing() {
  const message = "no python3 ≥ 3.10 with venv (Debian: apt-get install python3-venv)";
  if (process.env.CI) throw new Failure(message);
  say(`${message}: the test of a Python client is skipped`);
  return undefined;
}
