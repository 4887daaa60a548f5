// Files in the React example, in Chromium, with a bucket to put them into.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import { buildApp } from "../../examples/react-app/build.mjs";
import { Person, skip } from "./support/browser.ts";
import { sceneOf } from "./support/scene.ts";
import { Stage } from "./support/stage.ts";

const scene = sceneOf(() =>
  Stage.with(
    (outdir) => buildApp({ outdir }),
    (settings) => TestWorker.start({ settings }),
  ),
);

describe("files", { skip }, () => {
  it("reach the others byte for byte, through a connection that drops", async () => {
    await using ana = await Person.of(scene.browser);
    await using bia = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "files"));
    const other = await bia.open(scene.stage.page("bia", "files"));
    for (const each of [page, other]) await each.locator('.badge[data-status="connected"]').waitFor();
    const buffer = Buffer.alloc(3_000_000, "nota fiscal ");
    await page.getByLabel("Anexar arquivos").setInputFiles({ name: "nota.txt", mimeType: "text/plain", buffer });
    await page.locator('.uploads li[data-status="sending"]').waitFor();
    scene.stage.network.cut();
    scene.stage.network.mend();
    await page.locator('.file[data-own="true"]').getByText("nota.txt").waitFor();
    assert.equal(await page.locator(".file").count(), 1);
    const file = other.locator('.file[data-own="false"]');
    await file.getByText("nota.txt").waitFor();
    const downloading = other.waitForEvent("download");
    await file.getByRole("button").click();
    const download = await downloading;
    assert.equal(download.suggestedFilename(), "nota.txt");
    assert.ok(buffer.equals(await readFile(await download.path())));
  });

  it("that are not taken say why, and can be put away", async () => {
    await using ana = await Person.of(scene.browser);
    const page = await ana.open(scene.stage.page("ana", "refused"));
    await page.locator('.badge[data-status="connected"]').waitFor();
    const mimeType = "application/x-msdownload";
    const buffer = Buffer.from("MZ");
    await page.getByLabel("Anexar arquivos").setInputFiles({ name: "virus.exe", mimeType, buffer });
    await page.locator('.uploads li[data-status="failed"]').getByText("virus.exe").waitFor();
    assert.notEqual(await page.locator(".uploads").getByRole("alert").textContent(), "");
    await page.getByRole("button", { name: "Cancelar virus.exe" }).click();
    await page.locator(".uploads").waitFor({ state: "detached" });
  });
});
