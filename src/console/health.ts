/** The service's health, as far as the console shows it. */
import { batch, signal } from '@preact/signals';
import { describedAs, identityOf } from './identity.ts';
import type { GuardStatus } from '../incidents/guard-watch.ts';
import type { ClockJump } from '../domain/entries.ts';
import { readAs } from './operator.ts';
import { get, Refusal } from './request.ts';
import { isFleet } from './service.ts';
import { serviceTime } from './service-time.ts';

export interface HealthReading {
  readonly status: 'ok' | 'degraded';
  readonly reasons?: readonly string[];
  readonly warnings?: readonly string[];
  readonly version: string;
  readonly started_at?: string;
  /** Missing at the fleet, which has no log of its own. */
  readonly audit?: {
    readonly writable: boolean;
    readonly state: string;
    readonly last_seq: number;
    /** `seq` up to which the service has verified the log; null while it verifies. */
    readonly verified_seq: number | null;
    readonly segments: number;
    readonly bytes: number;
    readonly algorithm: string;
    /** The identity of the log; null until it is known. */
    readonly log_id?: string | null;
  };
  /** The guards; an older service does not say. */
  readonly guards?: readonly GuardStatus[];
  /** The latest jumps of the clock; missing when there were none. */
  readonly clock?: { readonly jumps: readonly ClockJump[] };
  readonly policy?: { readonly source: string; readonly digest: string; readonly loaded_at: string };
}

/** The last known health. */
export const health = signal<HealthReading | undefined>(undefined);
/** When it was read; milliseconds by the service's clock. */
export const healthAt = signal(0);

/**
 * Reads the health; a degraded service answers too.
 * @throws Refusal when there is no answer; the error of `fetch` when `ends` aborts
 */
export const readHealth = async (ends?: AbortSignal): Promise<void> => {
  const reading = await readAs(async (token) => {
    const response = await get('/health', { token, signal: ends });
    const body = (await response.json().catch(() => undefined)) as HealthReading | undefined;
    if (body?.audit !== undefined || (isFleet && body?.status !== undefined)) return body;
    if (body?.status !== undefined && token !== undefined) {
      const who = await identityOf(token);
      throw new Refusal(403, `reading needs the role reader; you are ${describedAs(who)}`);
    }
    // A service whose reads need a token shows its bare status to everybody.
    throw new Refusal(response.status, 'the service does not answer', {}, body?.status !== undefined);
  });
  batch(() => {
    health.value = reading;
    healthAt.value = serviceTime();
  });
};
