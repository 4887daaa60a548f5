// What was said, the newest below.

import type { AnswerEntry, ChatEntry, FileEntry, SaidEntry } from "@cidadao/realtime/react";
import { memo, useLayoutEffect, useRef } from "react";
import { hueOf } from "./people.tsx";
import { download } from "./session.ts";
import { endOf, size, stageOf, time } from "./words.ts";

/** So near to the end the list follows what comes. */
const NEAR_PX = 80;

interface EntriesProps {
  entries: readonly ChatEntry[];
  onResend: (id: string) => void;
}

export function Entries({ entries, onResend }: EntriesProps) {
  const list = useRef<HTMLOListElement>(null);
  const isNear = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it scrolls because the entries have changed
  useLayoutEffect(() => {
    if (isNear.current) list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [entries]);
  const look = () => {
    const { scrollTop = 0, clientHeight = 0, scrollHeight = 0 } = list.current ?? {};
    isNear.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
  };
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to scroll from the keyboard too
    <ol className="entries" ref={list} tabIndex={0} aria-label="Mensagens" onScroll={look}>
      {entries.length === 0 && <li className="empty">Pergunte algo sobre esta investigação.</li>}
      {entries.map((entry) => (
        <Entry key={entry.key} entry={entry} onResend={onResend} />
      ))}
    </ol>
  );
}

const Entry = memo(function Entry({ entry, onResend }: { entry: ChatEntry; onResend: (id: string) => void }) {
  if (entry.kind === "said") return <Said entry={entry} onResend={onResend} />;
  if (entry.kind === "answer") return <Answer entry={entry} />;
  return entry.kind === "file" ? <File entry={entry} /> : null;
});

const STATUS: Record<SaidEntry["status"], string> = {
  sending: "Enviando…",
  sent: "",
  cancelled: "Cancelada",
  failed: "Não enviada",
};

function Said({ entry, onResend }: { entry: SaidEntry; onResend: (id: string) => void }) {
  const { userId = "", isOwn, text, status, timestamp, error, id } = entry;
  return (
    <li className="entry said" data-own={isOwn} data-status={status}>
      {!isOwn && <Name name={userId} />}
      <p>{text}</p>
      <small className="foot">
        <span role={status === "failed" ? "alert" : undefined}>{STATUS[status]}</span>{" "}
        <time dateTime={timestamp}>{time(timestamp)}</time>
        {status === "failed" && (
          <button type="button" className="foot-button" title={error?.message} onClick={() => onResend(id)}>
            Enviar de novo
          </button>
        )}
      </small>
    </li>
  );
}

function Answer({ entry: { agent, text, status, stage } }: { entry: AnswerEntry }) {
  const isOpen = status === "waiting" || status === "answering";
  return (
    <li className="entry answer" data-status={status} aria-busy={isOpen}>
      <Name name={agent?.name ?? agent?.id ?? "Agente"} />
      {text ? <p>{text}</p> : isOpen && <p className="stage">{stageOf(stage)}</p>}
      {endOf(status) && <small>{endOf(status)}</small>}
    </li>
  );
}

function File({ entry: { file, isOwn } }: { entry: FileEntry }) {
  return (
    <li className="entry file" data-own={isOwn}>
      {!isOwn && <Name name={file.user_id} />}
      <button type="button" className="file-open" onClick={() => download(file.url, file.name)}>
        <span className="file-name">{file.name}</span>
        <small>{size(file.size)} · baixar</small>
      </button>
    </li>
  );
}

function Name({ name }: { name: string }) {
  return (
    <strong className="name" style={{ "--hue": hueOf(name) }}>
      {name}
    </strong>
  );
}
