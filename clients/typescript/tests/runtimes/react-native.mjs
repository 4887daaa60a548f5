// React Native, as far as it matters here: an app in one bundle, no globals but some that its platform has, and a
// WebSocket and a Blob like its own. The engine is V8: what Hermes lacks of the language is taken out of the bundle.
import { createContext, runInContext } from "node:vm";
import { buildSync } from "esbuild";
import { NativeBlob, NativeWebSocket } from "./native-platform.mjs";

/** Hermes has none of these symbols, so a `for await` needs a polyfill there. */
const MISSING = ["Symbol.asyncIterator", "Symbol.asyncDispose", "Symbol.dispose"];

/** `crypto`, `document` and events of pages and networks are not among them. */
const app = {
  options: JSON.parse(process.argv.at(-1)),
  navigator: { product: "ReactNative" },
  Blob: NativeBlob,
  WebSocket: NativeWebSocket,
  ...{ fetch, setTimeout, clearTimeout, queueMicrotask, console, performance, atob, TextEncoder, URLSearchParams },
};
app.window = app.global = app;

const { outputFiles } = buildSync({
  entryPoints: [new URL("native-app.mjs", import.meta.url).pathname],
  bundle: true,
  format: "iife",
  target: "es2017",
  define: Object.fromEntries(MISSING.map((name) => [name, "undefined"])),
  write: false,
});
runInContext(outputFiles[0].text, createContext(app));
await app.result;
