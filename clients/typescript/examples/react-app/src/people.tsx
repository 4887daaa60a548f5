// Who is in the chat.

import { usePresence } from "@cidadao/realtime/react";
import { session, user } from "./session.ts";

const SHOWN = 5;

export function People() {
  const { users, count } = usePresence(session);
  const shown = users.slice(0, SHOWN);
  return (
    <ul className="people" aria-label={count === 1 ? "1 pessoa na conversa" : `${count} pessoas na conversa`}>
      {shown.map(({ user_id }) => (
        <li key={user_id} title={user_id === user ? `${user_id} (você)` : user_id} style={{ "--hue": hueOf(user_id) }}>
          <span aria-hidden="true">{user_id.slice(0, 1).toUpperCase()}</span>
          <span className="unseen">{user_id}</span>
        </li>
      ))}
      {count > shown.length && <li className="more">+{count - shown.length}</li>}
    </ul>
  );
}

/** The same color for the same person, everywhere. */
export function hueOf(name: string): number {
  let hue = 0;
  for (const character of name) hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return hue;
}
