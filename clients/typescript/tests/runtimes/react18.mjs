// Preloaded into the tests of the React hooks: they run on React 18 instead of the repository's own.
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { RUNTIMES } from "../../scripts/runtimes.mjs";

const parentURL = pathToFileURL(join(RUNTIMES, "package.json")).href;

registerHooks({
  resolve(specifier, context, next) {
    const isReact = /^react(-dom)?(\/|$)/.test(specifier);
    return next(specifier, isReact ? { ...context, parentURL } : context);
  },
});

for (const name of ["react", "react-dom"]) {
  const { version } = await import(name);
  if (!version.startsWith("18.")) throw new Error(`${name} ${version} is not 18`);
}
