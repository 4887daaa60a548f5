// The chat: what was said, who is there, and the place to write.

import { useChat } from "@cidadao/realtime/react";
import { Composer } from "./composer.tsx";
import { Entries } from "./entries.tsx";
import { People } from "./people.tsx";
import { chatHistory, session, user } from "./session.ts";
import { typingLine } from "./words.ts";

export function Chat() {
  const chat = useChat(session, { history: chatHistory, userId: user });
  return (
    <section className="card chat" aria-labelledby="chat-title">
      <div className="head">
        <h2 id="chat-title">{chat.title ?? "Conversa"}</h2>
        <People />
      </div>
      <Entries entries={chat.messages} onResend={chat.resend} />
      <p className="typing" aria-live="polite">
        {typingLine(chat.typing)}
      </p>
      {chat.error && (
        <p className="problem" role="alert">
          {chat.error.message}
        </p>
      )}
      <Composer chat={chat} />
    </section>
  );
}
