// The scenario in Node 20, as the README says that it is done there.
import WebSocket from "ws";
import { play, report } from "./scenario.mjs";

const options = JSON.parse(process.argv.at(-1));
await report(options.control, await play({ ...options, WebSocket }));
