/**
 * Anchors: how far the fleet holds a log, signed, for the machine to record.
 *
 * One is due when the machine has recorded none yet, or the last one an hour or 10,000 entries ago, as its own log says
 * (`log.anchored`). Until that arrives here, the same is not signed again for a minute.
 */
import { sql, type Transaction } from 'kysely';
import { anchorText } from '../anchor.ts';
import { type Clock, HOUR, MINUTE, timestamp } from '../clock.ts';
import { type Signer, signNote } from '../signed-note.ts';
import type { HistoryFold } from './ingest/history-fold.ts';
import type { LogRow } from './ingest/histories.ts';
import type { FleetTables } from './schema.ts';

const DUE_AFTER = HOUR;
const DUE_AFTER_ENTRIES = 10_000;
/** How long an anchor is on its way at most before it is given again, in milliseconds. */
const AGAIN_AFTER = MINUTE;

/**
 * Signs an anchor when one is due.
 * @param row as it was before the batch
 * @returns the signed note
 */
export async function anchorIfDue(
  tx: Transaction<FleetTables>,
  { signer, clock }: { readonly signer: Signer; readonly clock: Pick<Clock, 'now'> },
  row: LogRow,
  { through: seq, hash, range }: Pick<HistoryFold, 'through' | 'hash' | 'range'>,
): Promise<string | undefined> {
  const { machine, log, identity, recorded_seq, recorded_at, anchored_seq, anchored_at } = row;
  const now = clock.now();
  // Without the beginning of a log there is no root over all of it.
  if (!row.active || row.first_seq > 1 || range.size !== seq || seq === 0) return undefined;
  const isRecorded =
    recorded_at !== null &&
    Math.abs(now - recorded_at.getTime()) < DUE_AFTER &&
    seq - (recorded_seq ?? 0) < DUE_AFTER_ENTRIES;
  const isGiven =
    anchored_at !== null &&
    Math.abs(now - anchored_at.getTime()) < AGAIN_AFTER &&
    seq - (anchored_seq ?? 0) < DUE_AFTER_ENTRIES;
  if (isRecorded || isGiven) return undefined;
  const time = timestamp(now);
  const root = range.root().toString('hex');
  const anchor = signNote(anchorText({ fleet: signer.name, machine, log: identity, seq, hash, root, time }), signer);
  await sql`
    UPDATE logs SET anchored_seq = ${seq}, anchored_at = ${time}::timestamptz, anchor = ${anchor}
    WHERE machine = ${machine} AND log = ${log}`.execute(tx);
  return anchor;
}
