// The chat: what was said, who is there, and the place to write.

import type { ChatMessage, FileShared, Message } from "@cidadao/realtime";
import { useChat } from "@cidadao/realtime/react";
import { Announcer, useNews } from "./announcer.tsx";
import { Composer } from "./composer.tsx";
import { Entries } from "./entries.tsx";
import { People } from "./people.tsx";
import { chatHistory, session, user } from "./session.ts";
import { endOf, typingLine } from "./words.ts";

export function Chat() {
  const { news, onMessage } = useNews(wordsOf);
  const chat = useChat(session, { history: chatHistory, userId: user, onMessage });
  return (
    <section className="card chat" aria-labelledby="chat-title">
      <div className="head">
        <h2 id="chat-title">{chat.title ?? "Conversa"}</h2>
        <People />
      </div>
      <Entries entries={chat.messages} onResend={chat.resend} />
      <Announcer news={news} />
      <p className="unseen" role="status">
        {chat.isAnswering && "O agente está respondendo."}
      </p>
      <p className="typing">{typingLine(chat.typing)}</p>
      {chat.error && (
        <p className="problem" role="alert">
          {chat.error.message}
        </p>
      )}
      <Composer chat={chat} />
    </section>
  );
}

/** What others say and share, and answers that have ended. */
function wordsOf(message: Message): string {
  if (message.type === "chat_complete") return answered(message as Message<"chat_complete">);
  if (message.type === "file") return shared(message.data as FileShared);
  if (message.type !== "chat") return "";
  const { user_id, content } = message.data as ChatMessage;
  return !user_id || user_id === user ? "" : `${user_id}: ${content}`;
}

const answered = ({ data: { agent_name, agent_id, content, status } }: Message<"chat_complete">) =>
  `${agent_name ?? agent_id ?? "Agente"}: ${content} ${endOf(status)}`.trim();

const shared = ({ user_id, name }: FileShared) =>
  user_id === user ? `Arquivo enviado: ${name}` : `${user_id}: ${name}`;
