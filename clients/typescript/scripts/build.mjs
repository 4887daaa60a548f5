// Builds dist/: JavaScript and types, file by file, as the sources are.
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { node, PACKAGE, TSC } from "./tools.mjs";

rmSync(join(PACKAGE, "dist"), { recursive: true, force: true });
node(TSC, "-p", "tsconfig.json");
for (const file of globSync("dist/**/*.d.ts", { cwd: PACKAGE })) nameJavaScript(join(PACKAGE, file));

/** The compiler leaves names of sources in declarations, which not every tool follows. */
function nameJavaScript(file) {
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(/((?:from|import\() ?"\.[^"]*)\.tsx?"/g, '$1.js"'));
}
