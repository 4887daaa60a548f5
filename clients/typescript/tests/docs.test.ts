// The reference that is made of the declarations, and what documents say of the sources.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cidadao-reference-"));
const run = promisify(execFile);
// The compiler takes its time where others work too.
before(() => run(process.execPath, ["scripts/docs.mjs", folder], { cwd: PACKAGE }), { timeout: 300_000 });
after(() => rmSync(folder, { recursive: true, force: true }));

const page = (name: string) => readFileSync(join(folder, name), "utf8");
const headings = (name: string) => [...page(name).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);

/** The names that a source declares for others. */
function declared(path: string): string[] {
  const text = readFileSync(join(PACKAGE, "src", path), "utf8");
  return [...text.matchAll(/^export (?:interface|type|class|function) (\w+)/gm)].map(([, name]) => name as string);
}

test("every entry has a page", () => {
  const { exports } = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
  assert.equal(readdirSync(folder).length, Object.keys(exports).length + 1);
});

test("all that the package exports is in the reference, and nothing twice", () => {
  const names = headings("index.md");
  assert.deepEqual(names.toSorted(), [...new Set(names)].sort());
  const wanted = ["createClient", "RealtimeError", ...declared("messages.ts"), ...declared("types.ts")];
  assert.deepEqual(names.toSorted(), wanted.sort());
  assert.deepEqual(headings("core.md"), ["createClient"]);
  assert.ok(headings("react.md").includes("useChat"));
});

test("it has comments and declarations, and nothing that is private", () => {
  const text = page("index.md");
  assert.match(
    text,
    /## Room\n\nA room that is heard over the general connection, until `close\(\)`. .*?\n\n```ts\ninterface Room /s,
  );
  assert.match(text, /type ConnectionState =.*status: "idle".*status: "stopped";\n.*?;\n```/s);
  assert.match(page("react.md"), /function useChat\(sessionId: string, .*\): .*;\n```/);
  assert.doesNotMatch(["index.md", "react.md", "tabs.md"].map(page).join(""), /#private|@link|=\n```/);
});
