// The newest of something that changes with each render, for what outlives one.

import { useCallback, useEffect, useRef } from "react";

/** A function, always the same, that gives the value of the last render that was shown. */
export function useLatest<T>(value: T): () => T {
  const reference = useRef(value);
  useEffect(() => {
    reference.current = value;
  });
  return useCallback(() => reference.current, []);
}
