// Prints what the package adds to a page, and fails if the core has outgrown its budget.
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { PACKAGE } from "./tools.mjs";

/** Bytes, minified and gzipped. */
const CORE_BUDGET = 8 * 1_024;

/** Sizes of an entry with all that comes with it at once, and of what it loads when it is needed. */
async function sizes(entry) {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(PACKAGE, "src", entry)],
    absWorkingDir: PACKAGE,
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    outdir: "out",
    metafile: true,
    write: false,
  });
  const names = atOnce(metafile.outputs, `out/${entry.replace(/ts$/, "js")}`);
  const isFirst = ({ path }) => names.has(relative(PACKAGE, path));
  return { first: zipped(outputFiles.filter(isFirst)), later: zipped(outputFiles.filter((file) => !isFirst(file))) };
}

/** An output, and what it imports before anything runs. */
function atOnce(outputs, name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const { path, kind } of outputs[name].imports) if (kind === "import-statement") atOnce(outputs, path, found);
  return found;
}

const zipped = (files) => gzipSync(files.map(({ text }) => text).join("\n"), { level: 9 }).length;

const core = await sizes("core.ts");
const all = await sizes("index.ts");
console.log(`core (rooms, resume, tokens)   ${core.first} bytes gzipped, of ${CORE_BUDGET}`);
console.log(`all (with chats)               ${all.first} bytes gzipped`);
console.log(`what is loaded when needed     ${all.later} bytes gzipped`);
if (core.first > CORE_BUDGET) {
  console.error("the core is over its budget");
  process.exit(1);
}
