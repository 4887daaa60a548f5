// Pages that more than one test file shows.

import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "../../../examples/vanilla/start.mjs";
import type { Build } from "./stage.ts";

const PAGE = fileURLToPath(new URL("../../../examples/vanilla/index.html", import.meta.url));

/** The page without a bundler. */
export const vanilla: Build = async (folder) => {
  compile(join(folder, "realtime"));
  await copyFile(PAGE, join(folder, "index.html"));
};
