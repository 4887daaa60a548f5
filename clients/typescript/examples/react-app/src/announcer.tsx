// What is new, for people who hear the page. An answer is said once, when it is whole: a list that grows word by word
// and is announced as it grows cannot be listened to.

import type { Message } from "@cidadao/realtime";
import { useCallback, useState } from "react";

/** So many stay: what comes together is said together, and nobody has to wade through the rest. */
const KEPT = 3;

export interface News {
  readonly id: string;
  readonly text: string;
}

/** `onMessage` is for a hook, whose history is thus not announced. What `wordsOf` leaves empty is not either. */
export function useNews(wordsOf: (message: Message) => string) {
  const [news, setNews] = useState<readonly News[]>([]);
  const onMessage = useCallback(
    (message: Message) => {
      const text = wordsOf(message);
      if (text) setNews((old) => [...old, { id: message.id, text }].slice(-KEPT));
    },
    [wordsOf],
  );
  return { news, onMessage };
}

export function Announcer({ news }: { news: readonly News[] }) {
  return (
    <div className="unseen" role="log" aria-label="Novidades">
      {news.map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}
