// What axe finds in a page, by the rules of WCAG 2.2 A and AA and those that are good practice.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type axe from "axe-core";
import type { Page } from "playwright-core";

const SCRIPT = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Each fault in one line: the rule, the element, and what is wrong with it. */
export async function audit(page: Page): Promise<string[]> {
  await page.evaluate(SCRIPT);
  const { violations } = await page.evaluate(
    (values) => (globalThis as unknown as { axe: typeof axe }).axe.run(document, { runOnly: { type: "tag", values } }),
    TAGS,
  );
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id} ${node.html}: ${node.failureSummary}`));
}
