// Builds dist/: JavaScript and types, file by file, as the sources are.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { node, PACKAGE, TSC } from "./tools.mjs";

rmSync(join(PACKAGE, "dist"), { recursive: true, force: true });
node(TSC, "-p", "tsconfig.json");
