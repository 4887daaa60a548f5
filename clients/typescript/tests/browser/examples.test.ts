// What the documents tell people to run, run in Chromium: the quick start of REACT.md and the page without a bundler.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser } from "playwright-core";
import { LIBRARY } from "../../examples/react-app/build.mjs";
import { launch, Person, skip } from "./support/browser.ts";
import { vanilla } from "./support/pages.ts";
import { type Build, Stage } from "./support/stage.ts";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

let browser: Browser;

before(async () => {
  if (!skip) browser = await launch();
});
after(() => browser?.close());

/** The quick start, word for word, but for the address of the server. */
const quickStart: Build = async (folder) => {
  const text = await readFile(join(PACKAGE, "REACT.md"), "utf8");
  const [, code = ""] = /```tsx quick-start\n([\s\S]*?)```/.exec(text) ?? [];
  assert.match(code, /"http:\/\/127\.0\.0\.1:8787"/);
  const contents = code.replace('"http://127.0.0.1:8787"', '{new URLSearchParams(location.search).get("server")!}');
  await build({
    stdin: { contents, loader: "tsx", resolveDir: PACKAGE },
    outfile: join(folder, "main.js"),
    bundle: true,
    format: "esm",
    jsx: "automatic",
    alias: LIBRARY,
    define: { "process.env.NODE_ENV": '"production"' },
  });
  await copyFile(join(PACKAGE, "examples/react-app/src/index.html"), join(folder, "index.html"));
};

/** The publisher, as its own process. */
async function notify(stage: Stage, investigation: string): Promise<string> {
  const script = join(PACKAGE, "examples/notifier/notify.mjs");
  const env = {
    ...process.env,
    SERVER: stage.worker.url(""),
    TOKEN: stage.worker.token({ role: "service", sub: "backend" }),
    PAUSE_MS: "0",
  };
  const child = spawn(process.execPath, [script, investigation], { env, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  const [code] = await once(child, "close");
  assert.equal(code, 0);
  return output;
}

describe("documents", { skip }, () => {
  it("the quick start of REACT.md shows what the notifier publishes", async () => {
    await using stage = await Stage.set(quickStart);
    await using ana = await Person.of(browser);
    const page = await ana.open(stage.page("ana", "inv-123"));
    await page.locator('section[aria-busy="false"]').waitFor();
    assert.match(await notify(stage, "inv-123"), /Investigação concluída/);
    await page.getByText("critical: Contrato 977: pago duas vezes").waitFor();
    assert.equal(await page.locator("li").count(), 3);
    assert.equal(await page.locator("progress").getAttribute("value"), "1");
    assert.deepEqual(ana.problems, []);
  });

  it("the page without a bundler shows messages and an answer", async () => {
    await using stage = await Stage.set(vanilla);
    await using ana = await Person.of(browser);
    const page = await ana.open(stage.page("ana", "inv-7"));
    await page.getByText("Ao vivo", { exact: true }).waitFor();
    await notify(stage, "inv-7");
    await page.getByText("anomaly_detected: Contrato 977: pago duas vezes").waitFor();
    await page.getByLabel("Pergunta").fill("Quem?");
    await page.getByRole("button", { name: "Perguntar" }).click();
    const call = await stage.agent.next();
    await call.write("Foi ");
    await page.locator("#answer").getByText("Foi").waitFor();
    await call.write("a Ana.");
    await call.done();
    await page.locator('#answer[aria-busy="false"]').getByText("Foi a Ana.", { exact: true }).waitFor();
    assert.deepEqual(ana.problems, []);
  });
});
