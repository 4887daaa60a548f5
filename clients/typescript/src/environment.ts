// What a page or a process tells of itself: whether there is a network, and whether anybody looks.

import type { Input } from "./effects.ts";

type Target = Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">>;

const world = globalThis as Target & { document?: Target & { visibilityState?: string } };

/** Says what changes, until what it returns is called. Where there are no such events, it says nothing. */
export function watch(say: (input: Input) => void): () => void {
  const page = world.document;
  const seen = () => say({ type: "visibility", isHidden: page?.visibilityState === "hidden" });
  const ends = [
    listen(world, "online", () => say({ type: "wake" })),
    listen(world, "offline", () => say({ type: "offline" })),
    listen(page, "visibilitychange", seen),
  ];
  seen();
  return () => {
    for (const end of ends) end();
  };
}

function listen(target: Target | undefined, name: string, listener: () => void): () => void {
  target?.addEventListener?.(name, listener);
  return () => target?.removeEventListener?.(name, listener);
}
