// The page's script and style, bundled.

import { copyFile, mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

/** An application that has installed the package from a registry needs no aliases. */
export const LIBRARY = {
  "@cidadao/realtime": path("../../src/index.ts"),
  "@cidadao/realtime/react": path("../../src/react/index.ts"),
};

export const OUT = new URL("../../../../build-examples/react-app/", import.meta.url);

/** @param {{ outdir?: string, mode?: "production" | "development" }} [options] */
export async function buildApp({ outdir = fileURLToPath(OUT), mode = "production" } = {}) {
  await mkdir(outdir, { recursive: true });
  await build({
    entryPoints: [path("src/main.tsx"), path("src/style.css")],
    outdir,
    bundle: true,
    format: "esm",
    splitting: true,
    jsx: "automatic",
    target: "es2022",
    minify: mode === "production",
    alias: LIBRARY,
    define: { "process.env.NODE_ENV": JSON.stringify(mode) },
  });
  await copyFile(path("src/index.html"), `${outdir}/index.html`);
}
