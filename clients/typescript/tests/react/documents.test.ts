// The examples of REACT.md: all of them are well typed.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const PACKAGE = join(ROOT, "clients/typescript");

it("REACT.md has only examples that are well typed", async () => {
  const text = await readFile(join(PACKAGE, "REACT.md"), "utf8");
  const examples = [...text.matchAll(/^```tsx.*\n([\s\S]*?)^```$/gm)].map(([, code]) => code ?? "");
  assert.ok(examples.length >= 7, `${examples.length} examples`);
  // Inside the repository, so that the examples find React.
  const folder = await mkdtemp(join(ROOT, "build-examples-"));
  try {
    for (const [index, code] of examples.entries()) await writeFile(join(folder, `example${index}.tsx`), code);
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(project()));
    assert.equal(compile(folder), "");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** As strict as the library's own; `@cidadao/realtime` is its source. */
function project() {
  const source = (name: string) => [join(PACKAGE, "src", name)];
  const paths = { "@cidadao/realtime": source("index.ts"), "@cidadao/realtime/*": source("*/index.ts") };
  const compilerOptions = { noEmit: true, isolatedDeclarations: false, declaration: false, rootDir: ROOT, paths };
  return { extends: join(PACKAGE, "tsconfig.json"), compilerOptions, include: ["*.tsx"] };
}

function compile(folder: string): string {
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  const result = spawnSync(process.execPath, [tsc, "--project", folder], { encoding: "utf8" });
  return result.stdout + result.stderr;
}
