// Writes the reference of everything that the package exports, from the declarations in dist/: a file of Markdown for
// each entry, into api/ or the folder that is named.
//   node scripts/docs.mjs [folder]
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { node, PACKAGE } from "./tools.mjs";

const STATEMENT = /^(?:export|import|declare|interface|type|class|function|const|\/\*\*|\/\/)/;
const DECLARED = /^(?:export )?(?:declare )?(?:abstract )?(class|interface|function|const|type) ([A-Za-z0-9_$]+)/;
const FROM = /^export (?:type )?(\*|\{[^}]*\}) from "(.*)";/s;

/** The statements of a file, each with the comment before it. */
function statements(file) {
  const blocks = [];
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (blocks.length === 0 || (STATEMENT.test(line) && isWhole(blocks.at(-1)))) blocks.push([]);
    blocks.at(-1).push(line);
  }
  const texts = blocks.map((lines) => lines.join("\n").trim());
  return texts.map((text, index) => ({ text, comment: texts[index - 1]?.startsWith("/**") ? texts[index - 1] : "" }));
}

/** Whether these lines are all of a statement or comment: the parts of a type may have comments of their own. */
function isWhole(lines) {
  const [first, last] = [lines[0], lines.findLast((line) => line !== "")];
  if (first.startsWith("/")) return first.startsWith("//") || last.endsWith("*/");
  return /(?:interface|class) /.test(first) ? last === "}" : last.endsWith(";");
}

/** What a file exports, by name, itself or from others. */
function exportsOf(file) {
  return statements(file).flatMap(({ text, comment }) => {
    const [, names, from] = FROM.exec(text) ?? [];
    if (from !== undefined) return handedOn(names, exportsOf(join(dirname(file), from.replace(/\.js$/, ".d.ts"))));
    const [, kind, name] = DECLARED.exec(text) ?? [];
    return name !== undefined && text.startsWith("export") ? [{ name, kind, text, comment }] : [];
  });
}

function handedOn(names, all) {
  if (names === "*") return all;
  const wanted = names.replace(/[{}]|\btype\b/g, "").split(",");
  return wanted.map((name) => all.find((each) => each.name === name.trim())).filter((each) => each !== undefined);
}

/** The words of a comment. */
function prose(comment) {
  const lines = comment.split("\n").map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\*) ?/, "").replace(/ ?\*\/$/, ""));
  return lines
    .join("\n")
    .replace(/\{@link (\w+)\}/g, "`$1`")
    .trim();
}

function section({ name, text, comment }) {
  const code = text.replace(/^export (?:declare )?/, "").replace(/^ +(?:#private;|private .*)\n/gm, "");
  const parts = [`## ${name}`, prose(comment), `\`\`\`ts\n${code}\n\`\`\``];
  return parts
    .filter(Boolean)
    .join("\n\n")
    .replace(/\{@link (\w+)\}/g, "`$1`");
}

/** A page of an entry. What the first one has is not explained again. */
function page(entry, known) {
  const isKnown = ({ name, text }) => known.get(name) === text;
  const again = entry.exports.filter(isKnown).map(({ name }) => `\`${name}\``);
  const sections = entry.exports.filter((each) => !isKnown(each)).map(section);
  const note = again.length > 0 ? `As in [\`@cidadao/realtime\`](index.md): ${again.join(", ")}.` : "";
  return `${[`# ${entry.name}`, note, ...sections].filter(Boolean).join("\n\n")}\n`;
}

if (!existsSync(join(PACKAGE, "dist/index.d.ts"))) node("scripts/build.mjs");
const folder = resolve(process.argv[2] ?? join(PACKAGE, "api"));
const { name, exports } = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
const entries = Object.entries(exports).map(([path, { types }]) => ({
  name: join(name, path),
  file: path === "." ? "index.md" : `${path.slice(2).replaceAll("/", "-")}.md`,
  exports: exportsOf(join(PACKAGE, types)),
}));
const known = new Map(entries[0].exports.map(({ name, text }) => [name, text]));
mkdirSync(folder, { recursive: true });
for (const [index, entry] of entries.entries()) {
  writeFileSync(join(folder, entry.file), page(entry, index === 0 ? new Map() : known));
}
const list = entries.map(
  ({ name, file, exports }) => `- [\`${name}\`](${file}): ${exports.map(({ name }) => name).join(", ")}`,
);
writeFileSync(join(folder, "README.md"), `# Reference\n\n${list.join("\n")}\n`);
console.log(`the reference is in ${folder}`);
