// Moments that do not come.

/** Later than any time. */
export const NEVER: number = Number.POSITIVE_INFINITY;

/** A pause that doubles with each failure, up to half a minute. */
export const pauseAfter = (failures: number): number => Math.min(1_000 * 2 ** failures, 30_000);
