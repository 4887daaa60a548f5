// How much of a file may be on its way at once. All else that is said waits behind it, and what is on its way when a
// connection breaks is lost: so it is as much as arrives in a second or a few.

/** At the beginning, and after a break. The server counts smaller pieces against a rate. */
const BEGIN_BYTES = 32_768;
const MIN_BYTES = 4_096;
const MAX_BYTES = 1_048_576;
/** What arrives within the one can be more, what takes longer than the other has to be less. */
const BRISK_MS = 1_000;
const SLOW_MS = 3_000;

export class Pace {
  bytes: number = BEGIN_BYTES;
  /** What is on its way: up to which place, since when. */
  #underWay: { end: number; since: number }[] = [];

  sent(end: number, now: number): void {
    this.#underWay.push({ end, since: now });
  }

  /** Everything up to there has arrived. */
  arrived(offset: number, now: number): void {
    const last = this.#underWay.filter(({ end }) => end <= offset).at(-1);
    if (!last) return;
    this.#underWay = this.#underWay.filter(({ end }) => end > offset);
    const ms = now - last.since;
    if (ms <= BRISK_MS) this.#set(this.bytes * 2);
    else if (ms > SLOW_MS) this.#set(this.bytes / 2);
  }

  /** What is on its way may be lost. */
  broken(): void {
    if (this.#underWay.length > 0) this.#set(Math.min(BEGIN_BYTES, this.bytes / 2));
    this.#underWay = [];
  }

  #set(bytes: number): void {
    this.bytes = Math.max(MIN_BYTES, Math.min(MAX_BYTES, bytes));
  }
}
