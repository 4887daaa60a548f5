// The examples of the documents: all of them are well typed.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const PACKAGE = join(ROOT, "clients/typescript");
/** The compiler takes its time where others work too. */
const timeout = 300_000;

/** How many examples each has at least. */
const DOCUMENTS = { "README.md": 9, "REACT.md": 8, "MIGRATION.md": 2 };

/** What examples take for granted: what others on the same page have made, and the reader's own. */
const GIVEN = `
import type { Chat, Client, ClientOptions } from "@cidadao/realtime";

declare global {
  const createClient: typeof import("@cidadao/realtime").createClient;
  const client: Client;
  const chat: Chat;
  const url: string;
  const getToken: ClientOptions["getToken"];
  const process: { readonly stdout: { write(text: string): void } };
  const input: { readonly files: readonly [File] };
  const bar: HTMLProgressElement;
  const banner: HTMLElement;
  const AppState: { addEventListener(name: "change", listener: (state: string) => void): void };
  const showSignIn: (code: string) => void;
  const updateInvestigationUI: (data: { progress?: number }) => void;
  const showAnomalyAlert: (data: { severity: string; description?: string }) => void;
  const reloadInvestigation: () => void;
  const sessionId: string;
  const text: string;
  const context: unknown;
  const append: (piece: string) => void;
  const finish: (result: { text: string }) => void;
  const showError: (message: string) => void;
}
`;

describe("an example", () => {
  let folder: string;

  // Inside the repository, so that the examples find React.
  before(async () => {
    folder = await mkdtemp(join(ROOT, "build-examples-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("of any document is well typed", { timeout }, async () => {
    for (const [document, least] of Object.entries(DOCUMENTS)) {
      const examples = await examplesOf(document);
      assert.ok(examples.length >= least, `${examples.length} examples in ${document}`);
      for (const { name, code } of examples) await writeFile(join(folder, name), `${code}\nexport {};\n`);
    }
    await writeFile(join(folder, "given.d.ts"), GIVEN);
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(project()));
    assert.equal(compile(folder), "");
  });
});

/** All TypeScript of a document, under the names of the lines that it begins at. */
async function examplesOf(document: string): Promise<{ name: string; code: string }[]> {
  const text = await readFile(join(PACKAGE, document), "utf8");
  return [...text.matchAll(/^```(tsx?)\b.*\n([\s\S]*?)^```$/gm)].map(({ 1: language, 2: code = "", index }) => {
    const line = text.slice(0, index).split("\n").length;
    return { name: `${document.replace(".md", "")}-${line}.${language}`, code };
  });
}

/** As strict as the library's own; `@cidadao/realtime` is its source. */
function project() {
  const source = (name: string) => [join(PACKAGE, "src", name)];
  const paths = {
    "@cidadao/realtime": source("index.ts"),
    "@cidadao/realtime/storage/*": source("storage/*.ts"),
    "@cidadao/realtime/*": source("*/index.ts"),
  };
  const compilerOptions = { noEmit: true, isolatedDeclarations: false, declaration: false, rootDir: ROOT, paths };
  // What an example makes is for its reader to use.
  const unused = { noUnusedLocals: false };
  return {
    extends: join(PACKAGE, "tsconfig.json"),
    compilerOptions: { ...compilerOptions, ...unused },
    include: ["*"],
  };
}

function compile(folder: string): string {
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  const result = spawnSync(process.execPath, [tsc, "--project", folder], { encoding: "utf8" });
  return result.stdout + result.stderr;
}
