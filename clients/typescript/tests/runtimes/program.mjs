// The scenario as a program of its own, in a runtime that has a WebSocket.
import { play, report } from "./scenario.mjs";

const options = JSON.parse(process.argv.at(-1));
await report(options.control, await play(options));
