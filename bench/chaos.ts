// Kills the runtime again and again under clients of every kind, and looks whether anything got lost.

import { type Report, storm } from "../miniflare-tests/support/storm.ts";
import type { Watcher } from "../miniflare-tests/support/watcher.ts";
import { main, say } from "../scripts/project.mjs";
import { options } from "./options.ts";
import { printFaults, printLines, Table, total } from "./print.ts";

const DEFAULTS = { kills: 30, seconds: 90, seed: 1, rooms: 6, clients: 32, publishers: 4, "cut-ms": 400 };

const HELP = `
npm run chaos -- [options]

Publishes into rooms full of clients while workerd, its storage on disk, is killed with SIGKILL and connections break.
Then it compares every room's log and every client with what was acknowledged. Ends with 1 if anything is not right.
Who brings no cursor and confirms nothing may miss what was on its way when its connection or the runtime broke.

  --kills N       how often workerd is killed (${DEFAULTS.kills})
  --seconds N     for how long there is publishing (${DEFAULTS.seconds})
  --seed N        what the random choices start from, so that they can be repeated (${DEFAULTS.seed})
  --rooms N       rooms of investigations, analyses and chats (${DEFAULTS.rooms})
  --clients N     clients; every eighth is of the same kind (${DEFAULTS.clients})
  --publishers N  backends, each with one request under way (${DEFAULTS.publishers})
  --cut-ms N      milliseconds between two broken connections, on average (${DEFAULTS["cut-ms"]})`;

function print(report: Report): void {
  printLines([
    ["kills of the runtime", report.kills],
    ["connections cut", report.cuts],
    ["messages acknowledged", report.acknowledged],
    ["requests", report.requests],
    ["  of them retries", report.retries],
    ["duplicates answered by the worker", report.duplicates],
    ["deliveries", total(report.watchers, ({ deliveries }) => deliveries)],
    ["  again on the wire, dropped", total(report.watchers, ({ duplicates }) => duplicates)],
    ["lost", report.lost],
    ["on their way to who never says", report.missed],
    ["longest recovery", `${(report.longestRecoveryMs / 1_000).toFixed(1)} s`],
    ["refusals", refusals(report.watchers)],
  ]);
  console.log();
  printKinds(report.watchers);
  printFaults(report.faults);
}

function printKinds(watchers: Watcher[]): void {
  const table = new Table("clients", ["number", "connects", "deliveries", "again"]);
  for (const [kind, those] of Map.groupBy(watchers, ({ kind }) => kind)) {
    const counts = [
      total(those, ({ connects }) => connects),
      total(those, ({ deliveries }) => deliveries),
      total(those, ({ duplicates }) => duplicates),
    ];
    table.row(kind, [those.length, ...counts]);
  }
}

function refusals(watchers: Watcher[]): string {
  const codes = watchers.flatMap(({ refused }) => [...refused]);
  const sums = [...Map.groupBy(codes, ([code]) => code)];
  return sums.map(([code, counts]) => `${total(counts, ([, count]) => count)} ${code}`).join(", ") || "none";
}

await main(async () => {
  const { "cut-ms": cutMs, ...weather } = options(HELP, DEFAULTS, "build");
  print(await storm({ ...weather, cutMs }, say));
});
