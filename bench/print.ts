// What the programs of this folder print alike.

const NAMES = 34;

/** One line for each: a name and what it came to. */
export function printLines(lines: [string, Cell][]): void {
  for (const [name, value] of lines) console.log(`${name.padEnd(NAMES)} ${value}`);
}

type Cell = string | number;

/** A table: names to the left, numbers under their headings. Its head is printed at once, each row when it is known. */
export class Table {
  #headings: string[];

  constructor(name: string, headings: string[]) {
    this.#headings = headings;
    this.row(name, headings);
  }

  row(name: string, cells: Cell[]): void {
    const padded = cells.map((cell, n) => String(cell).padStart((this.#headings[n]?.length ?? 0) + 3));
    console.log(name.padEnd(NAMES) + padded.join(""));
  }
}

const MOST_FAULTS = 30;

/** What went wrong, the same things together. If anything did, the program ends with 1. */
export function printFaults(faults: string[]): void {
  console.log(faults.length > 0 ? `\n${faults.length} faults:` : "\nno faults");
  const different = [...Map.groupBy(faults, (fault) => fault)];
  for (const [fault, same] of different.slice(0, MOST_FAULTS)) console.log(`  ${fault} (${same.length})`);
  if (faults.length > 0) process.exitCode = 1;
}

/** The value that so many of a hundred do not exceed. */
export function percentile(values: number[], hundredths: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.max(0, Math.ceil((sorted.length * hundredths) / 100) - 1)] ?? Number.NaN;
}

export function total<T>(list: Iterable<T>, count: (item: T) => number): number {
  let sum = 0;
  for (const item of list) sum += count(item);
  return sum;
}
