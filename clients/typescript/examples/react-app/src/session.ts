// Who is here, what is looked at, and where the server is: all from the address of the page.

import { loadHistory } from "@cidadao/realtime/react";

const query = new URLSearchParams(location.search);

export const user = query.get("user") ?? "ana";
export const investigation = query.get("investigation") ?? "inv-123";
export const session = query.get("session") ?? "sessao-1";

export const server = { url: query.get("server") ?? "http://127.0.0.1:8787", getToken };

/** A real page asks its own backend, with the cookie of who is signed in. */
async function getToken(): Promise<string> {
  const response = await fetch(`/token?user=${encodeURIComponent(user)}`);
  return response.text();
}

export const chatHistory = () => loadHistory(server, "chat", session);
export const investigationHistory = () => loadHistory(server, "investigation", investigation);

/** Files are read with the user's token, which a plain link does not carry. */
export async function download(path: string, name: string): Promise<void> {
  const headers = { authorization: `Bearer ${await getToken()}` };
  const response = await fetch(new URL(path, server.url), { headers });
  if (!response.ok) throw new Error(`O servidor respondeu ${response.status}.`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
