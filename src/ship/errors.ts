/** How a request to the fleet, or to the local recorder, fails. */
import type { IncomingHttpHeaders } from 'node:http';
import { SECOND } from '../clock.ts';

/** No whole answer came from the fleet. Whether the request had an effect is unknown. */
export class FleetNotReachable extends Error {
  override readonly name = 'FleetNotReachable';
}

/** The fleet has answered with a status that is no success. */
export class FleetRefused extends Error {
  override readonly name = 'FleetRefused';
  readonly status: number;
  /** The parsed JSON of the answer; empty when it is not an object. */
  readonly body: Readonly<Record<string, unknown>>;
  /** How long the fleet asks to wait, in milliseconds; 0 when it does not say. */
  readonly retryAfter: number;

  constructor(
    { method, path }: { readonly method: string; readonly path: string },
    status: number,
    headers: IncomingHttpHeaders,
    text: string,
  ) {
    const body = objectIn(text);
    const why = typeof body.error === 'string' ? onOneLine(body.error) : 'no reason given';
    super(`the fleet refused ${method} ${path.split('?')[0]} (${status}): ${why}`);
    this.status = status;
    this.body = body;
    this.retryAfter = retryAfterOf(headers['retry-after']);
  }

  /** The stable code of the refusal, where the fleet gives one. */
  get code(): string | undefined {
    return typeof this.body.code === 'string' ? this.body.code : undefined;
  }
}

/** Of a reason as long as that, in characters, the journal gets no more. */
const LONGEST_REASON = 500;

/** A fleet may write anything: it makes up no line of its own. */
const onOneLine = (text: string): string =>
  text
    .slice(0, LONGEST_REASON)
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .toWellFormed();

/** Entries that the fleet lacks are not in the local log any more. */
export class EntriesGone extends Error {
  override readonly name = 'EntriesGone';
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The longest wait that an answer may ask for, in milliseconds: nobody is to stop a shipper for days by a mistake. */
const LONGEST_WAIT = 3600 * SECOND;

/** `Retry-After` in milliseconds: seconds, or a date (RFC 9110, section 10.2.3). */
export function retryAfterOf(header: string | undefined, now = Date.now()): number {
  if (header === undefined) return 0;
  const wait = /^\d+$/.test(header.trim()) ? Number(header) * SECOND : Date.parse(header) - now;
  return Number.isNaN(wait) ? 0 : Math.min(LONGEST_WAIT, Math.max(0, wait));
}
