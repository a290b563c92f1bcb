/** The lines of the process log about the audit log. */
import type { Logger } from 'pino';
import type { BackgroundVerification } from './audit/background-verification.ts';
import type { AuditLog } from './audit/log.ts';
import type { Damage } from './audit/verify-chain.ts';
import { type Clock, SECOND } from './clock.ts';
import { type EntryEvent, isAboutIncident, type StoredEntry } from './domain/entries.ts';
import type { TakenEntry } from './domain/incident.ts';
import { journalTexts } from './domain/journal-line.ts';

/** How often a long start logs its progress. */
const PROGRESS = 2 * SECOND;

/** Logs entries that are on disk. */
export function logEntries(logger: Logger, entries: readonly StoredEntry[]): void {
  for (const entry of entries) {
    const { event, data } = entry;
    const level = levelOf(event);
    if (!logger.isLevelEnabled(level)) continue;
    const about = isAboutIncident(entry) ? { incident: entry.data.incident, state: entry.data.state } : {};
    logger[level]({ event, seq: data.seq, ...about }, 'recorded');
  }
}

/** Writes a line of the process log that has nothing but a text; `time` is when its entry was written (RFC 3339). */
export type JournalLog = (text: string, time: string) => void;

/** Writes the texts by which people and scripts find what happened to incidents: see `journalTexts`. */
export function logJournal(write: JournalLog, taken: readonly TakenEntry[]): void {
  for (const { entry, change } of taken) {
    for (const text of journalTexts(entry, change?.now.incident)) write(text, entry.timestamp);
  }
}

/** The line of a request already says what it did to an incident, so those entries are logged on `debug` only. */
const levelOf = (event: EntryEvent): 'debug' | 'info' =>
  event.startsWith('incident.') || event === 'alert.raised' ? 'debug' : 'info';

/**
 * Logs now and then how far the audit log has been read into the projections.
 * @param from the `seq` of the last entry that the projections know
 * @returns a function to call with the `seq` of each entry that was read
 */
export function progressLog(logger: Logger, clock: Clock, from: number): (seq: number) => void {
  let logged = clock.monotonic();
  logger.info({ from_seq: from + 1 }, 'reading the audit log');
  return (seq) => {
    if (clock.monotonic() - logged < PROGRESS) return;
    logged = clock.monotonic();
    logger.info({ seq }, 'reading the audit log');
  };
}

/**
 * Verifies what the start has not read, then the whole log again and again. On damage, marks the log as damaged, so that
 * it is no longer written, and ends.
 */
export async function verifyRest(verification: BackgroundVerification, log: AuditLog, logger: Logger): Promise<void> {
  try {
    let damage = await verifyFirst(verification, logger);
    if (damage === undefined) logger.info({ entries: verification.verified }, 'the audit log is verified');
    verification.proveRest().catch((error: unknown) => {
      if (!verification.stopped) logger.error({ err: error }, 'the database could not be proved to its end');
    });
    while (damage === undefined) damage = await verifyAgain(verification, logger);
    if (log.status.state === 'damaged') return;
    log.markDamaged(damage);
    logDamage(logger, damage);
  } catch (error) {
    if (!verification.stopped) logger.error({ err: error }, 'the audit log could not be verified');
  }
}

/** Verifies what the start has not read. A file that can't be read now is tried again. @throws after `stop` */
async function verifyFirst(verification: BackgroundVerification, logger: Logger): Promise<Damage | undefined> {
  for (;;) {
    try {
      return await verification.run();
    } catch (error) {
      if (verification.stopped) throw error;
      logger.error({ err: error }, 'the audit log could not be verified, which is tried again');
      await verification.pause();
    }
  }
}

/** Verifies the whole log once more. When it can't be read now, the next time may be better. */
async function verifyAgain(verification: BackgroundVerification, logger: Logger): Promise<Damage | undefined> {
  try {
    return await verification.runAgain();
  } catch (error) {
    if (verification.stopped) throw error;
    logger.error({ err: error }, 'the audit log could not be verified');
    return undefined;
  }
}

/** Logs that the audit log is damaged, and where. */
export const logDamage = (logger: Logger, damage: Damage): void =>
  logger.fatal(damage, 'the audit log is damaged: it can be read and is not written');
