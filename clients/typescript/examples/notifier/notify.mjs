// Publishes the course of an investigation, as a backend does: plain HTTP, no library.
//   TOKEN=$(npm run -s token -- --sub backend --role service) node clients/typescript/examples/notifier/notify.mjs inv-123

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const SERVER = process.env.SERVER ?? "http://127.0.0.1:8787";
const PAUSE_MS = Number(process.env.PAUSE_MS ?? 800);
const ATTEMPTS = 5;

const STEPS = [
  ["investigation_progress", { progress: 0.1, message: "Lendo 1.284 contratos" }],
  ["anomaly_detected", { severity: "medium", description: "Contrato 42: preço 38% acima da mediana" }],
  ["investigation_progress", { progress: 0.55, message: "Comparando fornecedores" }],
  ["anomaly_detected", { severity: "high", description: "Fornecedor aberto há 12 dias venceu 3 licitações" }],
  ["anomaly_detected", { severity: "critical", description: "Contrato 977: pago duas vezes" }],
  ["investigation_progress", { progress: 1, message: "Investigação concluída" }],
];

/** The id is made once: sent again after a failure, the message is not told twice. */
async function publish(path, type, data) {
  const body = JSON.stringify({ id: randomUUID(), type, data });
  for (let attempt = 1; ; attempt += 1) {
    const problem = await post(path, body);
    if (!problem) return;
    if (!problem.retry || attempt === ATTEMPTS) throw new Error(`${problem.code}: ${problem.message}`);
    await sleep(problem.retry_after_ms ?? 2 ** attempt * 250 * Math.random());
  }
}

/** Nothing, or why it was not taken. */
async function post(path, body) {
  const headers = { authorization: `Bearer ${process.env.TOKEN}`, "content-type": "application/json" };
  try {
    const response = await fetch(`${SERVER}/api/v1/ws${path}/messages`, { method: "POST", headers, body });
    if (response.ok) return undefined;
    return (await response.json()).error;
  } catch (error) {
    return { code: "UNREACHABLE", message: error.message, retry: true };
  }
}

if (!process.env.TOKEN) {
  console.error("TOKEN is missing: TOKEN=$(npm run -s token -- --sub backend --role service)");
  process.exit(1);
}
const [investigation = "inv-123"] = process.argv.slice(2);
for (const [type, data] of STEPS) {
  await publish(`/investigations/${encodeURIComponent(investigation)}`, type, {
    investigation_id: investigation,
    ...data,
  });
  console.log(`${type}  ${data.message ?? data.description}`);
  await sleep(PAUSE_MS);
}
