// What is told to the user, whatever is open.

import type { Message } from "@cidadao/realtime";
import { useNotifications } from "@cidadao/realtime/react";

const SHOWN = 3;

export function Notices() {
  const { notifications, dismiss } = useNotifications();
  const shown = notifications.slice(-SHOWN);
  return (
    <section className="notices" aria-label="Avisos" aria-live="polite">
      {shown.length > 0 && (
        <ul>
          {shown.map((message) => (
            <li key={message.id}>
              <span id={`notice-${message.id}`}>{textOf(message)}</span>
              <button
                type="button"
                className="dismiss"
                aria-label="Dispensar aviso"
                aria-describedby={`notice-${message.id}`}
                onClick={() => dismiss(message.id)}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function textOf({ type, data }: Message): string {
  const { title, message } = Object(data) as { title?: unknown; message?: unknown };
  return [title, message].filter((part) => typeof part === "string").join(": ") || type;
}
