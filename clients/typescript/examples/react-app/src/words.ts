// What the page says, where a program's word has to become a person's.

import type { ConnectionState } from "@cidadao/realtime";

export const CONNECTION: Record<ConnectionState["status"], string> = {
  idle: "Desconectado",
  connecting: "Conectando…",
  connected: "Ao vivo",
  waiting: "Sem conexão",
  stopped: "Conexão encerrada",
};

const SEVERITIES: Record<string, string> = { low: "Baixa", medium: "Média", high: "Alta", critical: "Crítica" };
export const severityOf = (severity: string): string => SEVERITIES[severity] ?? severity;

const STAGES: Record<string, string> = {
  asking: "Perguntando…",
  detecting: "Lendo a pergunta…",
  intent: "Entendendo a pergunta…",
  agent_selected: "Escolhendo quem responde…",
  thinking: "Pensando…",
};
export const stageOf = (stage: { name: string; message?: string } | undefined): string =>
  stage?.message ?? STAGES[stage?.name ?? ""] ?? "Aguardando resposta…";

const ENDS: Record<string, string> = {
  cancelled: "Resposta interrompida por quem perguntou.",
  failed: "O agente não conseguiu responder.",
  interrupted: "A resposta ficou pela metade.",
};
export const endOf = (status: string): string => ENDS[status] ?? "";

export const time = (timestamp: string): string =>
  new Date(timestamp).toLocaleTimeString("pt-BR", { hour: "2-digit", minute: "2-digit" });

export const size = (bytes: number): string =>
  bytes < 1_024
    ? `${bytes} B`
    : bytes < 1_048_576
      ? `${Math.round(bytes / 1_024)} KB`
      : `${toOne(bytes / 1_048_576)} MB`;

export const percent = (part: number): string => `${Math.round(part * 100)}%`;

const toOne = (value: number) => value.toLocaleString("pt-BR", { maximumFractionDigits: 1 });

export function typingLine(users: readonly string[]): string {
  const [first, second] = users;
  if (!first) return "";
  if (!second) return `${first} está digitando…`;
  return users.length === 2 ? `${first} e ${second} estão digitando…` : `${users.length} pessoas estão digitando…`;
}
