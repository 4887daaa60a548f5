// The page: an investigation, and the chat about it.

import { useConnection } from "@cidadao/realtime/react";
import { useEffect, useRef, useState } from "react";
import { Chat } from "./chat.tsx";
import { keepFocus } from "./focus.ts";
import { Investigation } from "./investigation.tsx";
import { Notices } from "./notices.tsx";
import { CONNECTION } from "./words.ts";

type Pane = "investigation" | "chat";

export function App() {
  const [pane, setPane] = useState<Pane>("investigation");
  const page = useRef<HTMLDivElement>(null);
  useEffect(() => keepFocus(page.current as HTMLElement), []);
  return (
    <div className="page" data-pane={pane} ref={page}>
      <header className="top">
        <h1>
          Cidadão<span>.AI</span>
        </h1>
        <Badge />
      </header>
      <Offline />
      <Notices />
      <nav className="panes" aria-label="Partes da página">
        <PaneButton pane="investigation" current={pane} onChoose={setPane} label="Investigação" />
        <PaneButton pane="chat" current={pane} onChoose={setPane} label="Conversa" />
      </nav>
      <main>
        <Investigation />
        <Chat />
      </main>
    </div>
  );
}

interface PaneButtonProps {
  pane: Pane;
  current: Pane;
  label: string;
  onChoose: (pane: Pane) => void;
}

function PaneButton({ pane, current, label, onChoose }: PaneButtonProps) {
  return (
    <button type="button" aria-pressed={pane === current} onClick={() => onChoose(pane)}>
      {label}
    </button>
  );
}

function Badge() {
  const { status } = useConnection();
  // What has a banner is announced there.
  const live = status === "waiting" || status === "stopped" ? "off" : "polite";
  return (
    <output className="badge" data-status={status} aria-live={live}>
      {CONNECTION[status]}
    </output>
  );
}

function Offline() {
  const { state, connect } = useConnection();
  if (state.status === "waiting") {
    return (
      <p className="banner" role="alert">
        Sem conexão. O que você enviar espera aqui e segue quando a conexão voltar.
      </p>
    );
  }
  if (state.status !== "stopped") return null;
  return (
    <p className="banner" role="alert">
      {state.reason.message}{" "}
      <button type="button" className="banner-button" onClick={connect}>
        Tentar de novo
      </button>
    </p>
  );
}
