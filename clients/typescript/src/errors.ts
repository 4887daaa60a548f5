// What can go wrong, with the code that a program switches on.

/** What the server says of a refusal, or the client of its own. */
export interface Refusal {
  code: string;
  message: string;
  /** Whether the same can succeed later. */
  retry: boolean;
  /** After how long. */
  retry_after_ms?: number | undefined;
  /** The `type` of the frame that was refused. */
  original_type?: string;
  /** The room that a refused `subscribe` named. */
  room?: string;
  /** The question whose answer a refused `chat_cancel` was to stop. */
  reply_to?: string;
}

/**
 * A refusal, a failure, or the end of a connection. Switch on {@link code}: sentences change. Codes of the server are in
 * its protocol; those of this library are listed in the README. No token is ever in it.
 */
export class RealtimeError extends Error {
  override readonly name: string = "RealtimeError";
  readonly code: string;
  /** Whether the same can succeed later. */
  readonly retry: boolean;
  /** After how long, if that is known. */
  readonly retryAfterMs: number | undefined;
  /** The number that the socket closed with, if this ended it. */
  readonly closeCode: number | undefined;

  constructor(refusal: Pick<Refusal, "code" | "message"> & Partial<Refusal>, closeCode?: number) {
    super(refusal.message);
    this.code = refusal.code;
    this.retry = refusal.retry ?? false;
    this.retryAfterMs = refusal.retry_after_ms;
    this.closeCode = closeCode;
  }
}
