// The feed of an investigation: how far it is, and what it has found.

import type { Message } from "@cidadao/realtime";
import { useInvestigation } from "@cidadao/realtime/react";
import { memo } from "react";
import { Announcer, useNews } from "./announcer.tsx";
import { investigation, investigationHistory } from "./session.ts";
import { percent, severityOf, time } from "./words.ts";

export function Investigation() {
  const { news, onMessage } = useNews(wordsOf);
  const options = { history: investigationHistory, onMessage };
  const { messages, anomalies, progress = 0, status } = useInvestigation(investigation, options);
  return (
    <section className="card investigation" aria-labelledby="investigation-title">
      <div className="head">
        <h2 id="investigation-title">Investigação {investigation}</h2>
        <span className="muted">{anomalies.length === 1 ? "1 anomalia" : `${anomalies.length} anomalias`}</span>
      </div>
      <div className="progress">
        <progress value={progress} max={1} aria-label="Progresso da investigação" />
        <span>{percent(progress)}</span>
      </div>
      <Announcer news={news} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to scroll from the keyboard too */}
      <ol className="feed" tabIndex={0} aria-label="O que foi encontrado" aria-busy={status === "pending"}>
        {messages.length === 0 && <li className="empty">Nada ainda. O que for encontrado aparece aqui na hora.</li>}
        {[...messages].reverse().map((message) => (
          <FeedItem key={message.id} message={message} />
        ))}
      </ol>
    </section>
  );
}

/** How far it is everybody can look up; what it finds is worth an interruption. */
function wordsOf({ type, data }: Message): string {
  if (type !== "anomaly_detected") return "";
  const { severity, description } = data as Message<"anomaly_detected">["data"];
  return `Anomalia, gravidade ${severityOf(severity).toLowerCase()}: ${description}`;
}

const FeedItem = memo(function FeedItem({ message }: { message: Message }) {
  return message.type === "anomaly_detected" ? (
    <Anomaly message={message as Message<"anomaly_detected">} />
  ) : (
    <Update message={message as Message<"investigation_update">} />
  );
});

function Anomaly({ message: { data, timestamp } }: { message: Message<"anomaly_detected"> }) {
  return (
    <li className="anomaly" data-severity={data.severity}>
      <div className="line">
        <strong className="severity">{severityOf(data.severity)}</strong>
        <time dateTime={timestamp}>{time(timestamp)}</time>
      </div>
      <p>{data.description}</p>
    </li>
  );
}

function Update({ message: { type, data, timestamp } }: { message: Message<"investigation_update"> }) {
  return (
    <li className="update">
      <span>{data.message ?? data.status ?? type}</span>
      <time dateTime={timestamp}>{time(timestamp)}</time>
    </li>
  );
}
