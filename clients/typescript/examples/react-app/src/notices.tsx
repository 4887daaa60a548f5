// What is told to the user, whatever is open.

import type { Message } from "@cidadao/realtime";
import { useNotifications } from "@cidadao/realtime/react";

const SHOWN = 3;

export function Notices() {
  const { notifications, dismiss } = useNotifications();
  return (
    <ul className="notices" aria-label="Avisos" aria-live="polite">
      {notifications.slice(-SHOWN).map((message) => (
        <li key={message.id}>
          <span>{textOf(message)}</span>
          <button type="button" aria-label="Dispensar aviso" onClick={() => dismiss(message.id)}>
            ×
          </button>
        </li>
      ))}
    </ul>
  );
}

function textOf({ type, data }: Message): string {
  const { title, message } = Object(data) as { title?: unknown; message?: unknown };
  return [title, message].filter((part) => typeof part === "string").join(": ") || type;
}
