/** How the service is, as far as the console shows it. */
import { signal } from '@preact/signals';
import { Refusal } from './request.ts';

export interface Health {
  readonly status: 'ok' | 'degraded';
  readonly reasons?: readonly string[];
  readonly warnings: readonly string[];
  readonly version: string;
  readonly started_at: string;
  readonly audit: {
    readonly writable: boolean;
    readonly state: string;
    readonly last_seq: number;
    /** Up to which entry the service has verified the log; null while it is at it. */
    readonly verified_seq: number | null;
    readonly segments: number;
    readonly bytes: number;
    readonly algorithm: string;
  };
  readonly policy: { readonly source: string; readonly digest: string; readonly loaded_at: string };
}

/** What the service said of itself last. */
export const health = signal<Health | undefined>(undefined);

/** Asks the service how it is; one that is degraded answers too. Throws Refusal when there is no answer. */
export const readHealth = async (): Promise<void> => {
  const response = await fetch('/health', { cache: 'no-store' }).catch(() => undefined);
  const body = (await response?.json().catch(() => undefined)) as Health | undefined;
  if (body?.audit === undefined) throw new Refusal(response?.status ?? 0, 'the service does not answer');
  health.value = body;
};
