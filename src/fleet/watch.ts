/** What each process of the fleet does from time to time, besides answering requests. */
import { SECOND } from '../clock.ts';
import type { FleetAlarms } from './alarms.ts';
import type { Campaigns } from './campaigns.ts';
import type { Sums } from './read-models/sums.ts';

const EVERY = 2 * SECOND;

export interface WatchOptions {
  readonly alarms: FleetAlarms;
  readonly campaigns: Campaigns;
  /** What completes acts on many machines. */
  readonly acts: readonly { complete(): Promise<void> }[];
  readonly sums: Sums;
  /** Where the database has none of its own. */
  readonly upkeep?: { look(): Promise<void> };
  readonly log: { warn(fields: object, message: string): void };
}

export interface Watch {
  /** Looks now, and answers when that is done. */
  readonly look: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Looks for alarms, campaigns and acts that are not complete, until it is stopped. A look that fails is tried again. */
export function startWatch({ alarms, campaigns, acts, sums, upkeep, log }: WatchOptions): Watch {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let under: Promise<void> | undefined;
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    if (isStopped) return;
    try {
      await work();
    } catch (err) {
      log.warn({ err, what }, 'a look at the fleet has failed');
    }
  };
  const all = async (): Promise<void> => {
    await attempt('alarms', () => alarms.look());
    await attempt('campaigns', () => campaigns.look());
    for (const one of acts) await attempt('acts', () => one.complete());
    await attempt('sums', () => sums.make());
    if (upkeep !== undefined) await attempt('upkeep', () => upkeep.look());
  };
  const look = (): Promise<void> => (under ??= all().finally(() => (under = undefined)));
  const again = (): void => {
    if (isStopped) return;
    // Processes that were started together do not look together.
    timer = setTimeout(() => void look().then(again), EVERY * (0.75 + Math.random() / 2)).unref();
  };
  again();
  return {
    look,
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      await under;
    },
  };
}
