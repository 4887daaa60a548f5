// The scenario as React Native has it: what its engine and its platform lack does not come in by accident.
import { play, report } from "./scenario.mjs";

const { options } = globalThis;
globalThis.result = play({ ...options, loops: false, blobs: false }).then((result) => report(options.control, result));
