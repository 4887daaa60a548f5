// What a page or a process tells of itself: whether there is a network, and whether anybody looks.

import type { Input } from "./effects.ts";

type Target = Pick<EventTarget, "addEventListener" | "removeEventListener">;

const world = globalThis as Partial<Target> & { document?: Target & { visibilityState?: string } };

/** Says what changes, until what it returns is called. Where there are no such events, it says nothing. */
export function watch(say: (input: Input) => void): () => void {
  const page = world.document;
  const seen = () => say({ type: "visibility", isHidden: page?.visibilityState === "hidden" });
  const ends = [
    listen(world, "online", () => say({ type: "wake" })),
    listen(world, "offline", () => say({ type: "offline" })),
    listen(page, "visibilitychange", seen),
  ];
  if (page) seen();
  return () => {
    for (const end of ends) end();
  };
}

function listen(target: Partial<Target> | undefined, name: string, listener: () => void): () => void {
  if (typeof target?.addEventListener !== "function") return () => {};
  target.addEventListener(name, listener);
  return () => target.removeEventListener?.(name, listener);
}
