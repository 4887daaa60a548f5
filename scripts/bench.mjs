// `npm run bench -- <program>`: builds what the program measures, then runs it. `npm run chaos` is one of them.
import { buildFaults, buildRelease } from "./build.mjs";
import { Failure, main, NODE, run } from "./project.mjs";
import { setup } from "./setup.mjs";

const PROGRAMS = {
  answers: { build: buildBoth, what: "how an agent's answer reaches a chat, and what it costs" },
  chaos: { build: buildRelease, what: "kills the runtime under clients and publishers; nothing may get lost" },
  drops: { build: buildRelease, what: "cuts connections; everybody must get everything, and how soon" },
  rows: { build: buildFaults, what: "rows and requests that a message costs, and a resume after a room's sleep" },
};

const HELP = `npm run bench -- <program> [options]; --help shows the options of a program.

${Object.entries(PROGRAMS)
  .map(([name, { what }]) => `  ${name.padEnd(7)} ${what}`)
  .join("\n")}`;

await main(() => {
  const [name, ...options] = process.argv.slice(2);
  if (name === undefined || name === "--help" || name === "-h") return console.log(HELP);
  const program = Object.hasOwn(PROGRAMS, name) && PROGRAMS[name];
  if (!program) throw new Failure(`there is no program "${name}"\n\n${HELP}`);
  if (needsBuild(options)) program.build(setup());
  run(NODE, [`bench/${name}.ts`, ...options]);
});

function buildBoth(env) {
  buildRelease(env);
  buildFaults(env);
}

function needsBuild(options) {
  return !options.some((option) => option === "-h" || option === "--help" || option.startsWith("--build"));
}
