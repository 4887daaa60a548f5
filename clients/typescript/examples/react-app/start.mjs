// Builds the page and serves it: node clients/typescript/examples/react-app/start.mjs

import { serve } from "../server.mjs";
import { buildApp, OUT } from "./build.mjs";

await buildApp();
const server = await serve({ "/": OUT });
console.log(`http://127.0.0.1:${server.address().port}/?user=ana and, in another window, ?user=bia`);
