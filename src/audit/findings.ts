/**
 * What may be wrong with a log: one table for the start, the running service and `verify`. It is also in README.md, and a
 * test compares the two.
 *
 * - `missing`: something that should be there is not. `/health` warns, an alert is raised, reports go on.
 * - `restored`: somebody changed the files while the service ran, and it has put them back. The same, for nothing is lost.
 * - `exposed`: nothing is wrong yet, but somebody can change the log by another path. The same.
 * - `altered`: something does not verify. The service is degraded and writes nothing.
 *
 * A finding stays on record (`log.damage_found`) until an operator acknowledges it (`log.damage_acknowledged`).
 */
import type { DamageFoundData, Draft } from '../domain/entries.ts';

export type FindingKind = 'missing' | 'restored' | 'exposed' | 'altered';

interface FindingMeaning {
  readonly kind: FindingKind;
  readonly meaning: string;
  /** What the service does. */
  readonly response: string;
}

export const FINDINGS = {
  checkpoint_missing: {
    kind: 'missing',
    meaning: 'there are entries, but no checkpoint: entries cut off the end would not show',
    response: 'warns, raises an alert, writes a new checkpoint',
  },
  entries_missing: {
    kind: 'missing',
    meaning: 'a range of entries is in none of the files, and no `log.archived` entry accounts for it',
    response: 'warns, raises an alert, goes on after the range',
  },
  entries_lost: {
    kind: 'missing',
    meaning: 'the file was cut while the service wrote it (`copytruncate` does that)',
    response: 'warns, raises an alert, goes on in a new file that begins with `log.lost`',
  },
  log_is_another: {
    kind: 'missing',
    meaning: 'the log was begun where there was another, as `<log>.identity` says',
    response: 'warns, raises an alert, goes on',
  },
  log_removed: {
    kind: 'restored',
    meaning: 'the file of the log was removed or renamed while the service wrote it',
    response: 'copies it back from its open descriptor, records `log.restored`, warns, raises an alert',
  },
  log_replaced: {
    kind: 'restored',
    meaning: 'another file was put in the place of the log while the service wrote it',
    response: 'keeps that file as `<log>.replaced-<time>`, then as for `log_removed`',
  },
  log_extended: {
    kind: 'restored',
    meaning: 'somebody else wrote to the end of the file of the log',
    response: 'keeps that file as `<log>.replaced-<time>`, then as for `log_removed`',
  },
  log_linked: {
    kind: 'exposed',
    meaning: 'the file of the log has a second name (a hard link): whoever made it can write the file',
    response: 'warns, raises an alert; remove that name',
  },
  segment_replaced: {
    kind: 'missing',
    meaning: 'a sealed segment was changed or replaced while the service ran: it is not the file that was sealed',
    response: 'warns, raises an alert, verifies the whole log at once',
  },
  checkpoint_removed: {
    kind: 'restored',
    meaning: 'the checkpoint was removed while the service ran',
    response: 'writes it again, records `log.restored`, warns, raises an alert',
  },
  checkpoint_replaced: {
    kind: 'restored',
    meaning: 'the checkpoint was changed or replaced while the service ran',
    response: 'keeps it as `<log>.checkpoint.replaced-<time>`, then as for `checkpoint_removed`',
  },
  posture_altered: {
    kind: 'restored',
    meaning: '`<log>.posture` was not written with this key, or is about entries that the log does not have',
    response: 'does not believe it, writes it again once the database is proved, warns, raises an alert',
  },
  log_mended: {
    kind: 'restored',
    meaning: 'damage was found while the service ran, and is not there any more at the next start',
    response: 'verifies the whole log before it starts, warns, raises an alert',
  },
  database_altered: {
    kind: 'restored',
    meaning: 'the database beside the log is not what the log makes of it: somebody else has changed it',
    response: 'rebuilds it from the log, warns, raises an alert',
  },
  anchor_mismatch: {
    kind: 'missing',
    meaning: 'the fleet has signed an entry that this log does not have: its past was rewritten, or it was rolled back',
    response: 'warns, raises an alert, does not record the anchor',
  },
  entry_altered: {
    kind: 'altered',
    meaning: 'a line is not the entry that was written in its place',
    response: 'is degraded, writes nothing, reads go on',
  },
  checkpoint_altered: {
    kind: 'altered',
    meaning: 'the checkpoint does not verify, or counts another entry than the log has there',
    response: 'is degraded, writes nothing, reads go on',
  },
  log_cut: {
    kind: 'altered',
    meaning: 'the log ends before what its checkpoint or its database counts, or is gone',
    response: 'is degraded, writes nothing, reads go on',
  },
} as const satisfies Readonly<Record<string, FindingMeaning>>;

export type FindingName = keyof typeof FINDINGS;

/** Names of findings that are no damage. */
export type MendedFinding = {
  readonly [Name in FindingName]: (typeof FINDINGS)[Name]['kind'] extends 'altered' ? never : Name;
}[FindingName];

/** Something found wrong with a log. The range counts when the same absence would be found again by every start. */
export interface Finding {
  readonly name: MendedFinding;
  readonly detail: string;
  readonly range?: { readonly first_seq: number; readonly last_seq: number };
  /** The entry that it is about: it is one finding for good, like a range. */
  readonly seq?: number;
}

/** Names a finding, for its acknowledgement. */
export const idOf = ({ name, range, seq }: Finding): string => {
  if (range !== undefined) return `${name}:${range.first_seq}-${range.last_seq}`;
  return seq === undefined ? name : `${name}:${seq}`;
};

/** Puts a range of entries in words. */
export const entriesIn = (first: number, last: number): string =>
  first === last ? `entry ${first}` : `entries ${first} to ${last}`;

/**
 * The entries that record a finding: the finding and its alert.
 * @param time RFC 3339
 */
export function draftsOf(finding: Finding, time: string): readonly Draft[] {
  const data: DamageFoundData = { finding: idOf(finding), detail: finding.detail };
  const alert = { finding: data.finding, severity: 'critical', reason: finding.detail } as const;
  return [
    { timestamp: time, event: 'log.damage_found', data },
    { timestamp: time, event: 'alert.raised', data: alert },
  ];
}
