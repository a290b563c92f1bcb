import { chainHash } from '../../src/audit/chain-hash.ts';
import { draftsOf } from '../../src/audit/findings.ts';
import { AuditLog, type DurableBatch } from '../../src/audit/log.ts';
import { type Recovered, recoverLog } from '../../src/audit/recovery.ts';
import { FixedClock } from './fixed-clock.ts';
import type { Draft, Entry, StoredEntry } from '../../src/domain/entries.ts';

export const KEY = Buffer.from('a key for tests, of 32 bytes or more');
export const HASH = chainHash(KEY);

const TIME = '2026-11-22T07:12:00.123Z';

/** An entry that says nothing but `note`. */
export const draft = (note: string): Draft => ({
  timestamp: TIME,
  event: 'service.stopped',
  data: { reason: note },
});

/** What such an entry says. */
export const noteOf = (entry: Entry): string | undefined =>
  entry.event === 'service.stopped' ? entry.data.reason : undefined;

export interface OpenLog {
  readonly log: AuditLog;
  readonly recovered: Recovered;
  /** What recovery found in the log. */
  readonly found: readonly StoredEntry[];
  /** What became durable since. */
  readonly durable: readonly StoredEntry[];
}

/** Recovers and opens the log at `path`, as the service does. */
export async function openLog(
  path: string,
  hash = HASH,
  segmentBytes = Infinity,
  onDurable: (batch: DurableBatch) => void = () => {},
): Promise<OpenLog> {
  const clock = new FixedClock();
  const found: StoredEntry[] = [];
  const durable: StoredEntry[] = [];
  const recovered = await recoverLog({ path, hash, clock, onEntries: (entries) => void found.push(...entries) });
  const log: AuditLog = AuditLog.open({
    onFound: (finding) => void log.append(draftsOf(finding, TIME)),
    path,
    hash,
    clock,
    recovered,
    segmentBytes,
  });
  log.start((batch) => {
    durable.push(...batch.entries);
    onDurable(batch);
  });
  return { log, recovered, found, durable };
}

/** Writes a log of `count` entries and closes it. */
export async function writeLog(path: string, count: number, hash = HASH): Promise<void> {
  const { log } = await openLog(path, hash);
  for (let n = 1; n <= count; n++) await log.append([draft(`entry ${n}`)]);
  await log.close();
}
