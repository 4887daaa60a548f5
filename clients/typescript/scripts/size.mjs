// Prints what the package adds to a page, and fails if the core has outgrown its budget.
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { PACKAGE } from "./tools.mjs";

/** Bytes, minified and gzipped. */
const CORE_BUDGET = 8 * 1_024;

/** Sizes of an entry with all that comes with it at once, and of what it loads when it is needed. */
async function sizes(entry) {
  const { outputFiles } = await build({
    entryPoints: [join(PACKAGE, "src", entry)],
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    outdir: "out",
    write: false,
    external: ["react"],
  });
  const later = outputFiles.filter(({ path }) => /upload-/.test(path));
  const first = outputFiles.filter((file) => !later.includes(file));
  return { first: zipped(first), later: zipped(later) };
}

const zipped = (files) => gzipSync(files.map(({ text }) => text).join("\n"), { level: 9 }).length;

const core = await sizes("core.ts");
const all = await sizes("index.ts");
console.log(`core (rooms, resume, tokens)   ${core.first} bytes gzipped, of ${CORE_BUDGET}`);
console.log(`all (with chats)               ${all.first} bytes gzipped`);
console.log(`uploads, loaded when needed    ${all.later} bytes gzipped`);
if (core.first > CORE_BUDGET) {
  console.error("the core is over its budget");
  process.exit(1);
}
