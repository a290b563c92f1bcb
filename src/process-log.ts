/** What the process log is told of the audit log. */
import type { Logger } from 'pino';
import type { BackgroundVerification } from './audit/background-verification.ts';
import type { StoredEntry } from './audit/entry.ts';
import type { AuditLog } from './audit/log.ts';
import type { Damage } from './audit/verify-chain.ts';
import { type Clock, SECOND } from './clock.ts';
import type { EntryEvent } from './domain/entry-events.ts';

/** How often a long start says how far it is. */
const PROGRESS = 2 * SECOND;

export function tellEntries(logger: Logger, entries: readonly StoredEntry[]): void {
  for (const { event, data } of entries) {
    logger[levelOf(event)]({ event, seq: data.seq, incident: data.incident, state: data.state }, 'recorded');
  }
}

/** What a request has done to an incident stands in that request's line, with what it was and who asked. */
const levelOf = (event: EntryEvent): 'debug' | 'info' =>
  event.startsWith('incident.') || event === 'alert.raised' ? 'debug' : 'info';

/** Tells, once in a while, how far the audit log has been read into the projections. */
export function progressTo(logger: Logger, clock: Clock, from: number): (seq: number) => void {
  let told = clock.monotonic();
  logger.info({ from_seq: from + 1 }, 'reading the audit log');
  return (seq) => {
    if (clock.monotonic() - told < PROGRESS) return;
    told = clock.monotonic();
    logger.info({ seq }, 'reading the audit log');
  };
}

/** Verifies what the start has not read, and stops the writing of a log that is not what was written. */
export async function verifyRest(verification: BackgroundVerification, log: AuditLog, logger: Logger): Promise<void> {
  try {
    const damage = await verification.run();
    if (damage === undefined) {
      logger.info({ entries: verification.verified }, 'the audit log is verified');
      return;
    }
    log.markDamaged(damage);
    tellDamage(logger, damage);
  } catch (error) {
    if (!verification.stopped) logger.error({ err: error }, 'the audit log could not be verified');
  }
}

export const tellDamage = (logger: Logger, damage: Damage): void =>
  logger.fatal(damage, 'the audit log is damaged: it is read, and not written');
