import type { Receipt } from '../domain/entries.ts';

/** What came of one attempt to have a directive carried out. */
export type AttemptResult =
  | { readonly kind: 'done'; readonly receipt: Receipt }
  /** Another attempt may succeed; the service may have said in how many milliseconds. */
  | { readonly kind: 'missed'; readonly error: string; readonly retryAfter?: number }
  /** The service has taken it and confirms later; without that it is asked again after so many milliseconds. */
  | { readonly kind: 'accepted'; readonly error: string; readonly retryAfter: number }
  /** Another attempt would be answered alike; or nothing was sent, because nothing says what to act on. */
  | { readonly kind: 'refused'; readonly error: string; readonly unsent?: true };
