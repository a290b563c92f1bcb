/** What the entries about the log itself say, beside `seq`: the shapes of their `data`. */
import type { JsonValue } from '../json/exact-json.ts';

/** A sealed segment and its place in the chain. */
export type SegmentRange = {
  /** Name of the file. */
  readonly file: string;
  readonly first_seq: number;
  readonly last_seq: number;
  /** Its size. */
  readonly bytes: number;
  /** `prev_hash` of its first entry. */
  readonly prev_hash: string;
  /** `entry_hash` of its last entry. */
  readonly last_hash: string;
};

/** Entries one behind the other, and their place in the chain. */
export type ArchivedRange = Pick<SegmentRange, 'first_seq' | 'last_seq' | 'prev_hash' | 'last_hash'>;

/** What some `log.archived` entries tell together. */
export type ArchivedSoFar = {
  readonly ranges: readonly ArchivedRange[];
  /** How often the incidents that have left the record had entered each state. */
  readonly entered: Readonly<Record<string, number>>;
};

/** `log.archived`: a segment was moved to the archive, and the incidents that were reported in it have left the record. */
export type ArchivedData = SegmentRange & {
  readonly incidents: number;
  /** How often these incidents had entered each state. */
  readonly entered: Readonly<Record<string, number>>;
  /** How the containment actions stood, as JSON of the posture's own, and the entry up to which that is true. */
  readonly posture: { readonly [action: string]: JsonValue };
  readonly posture_seq: number;
  /** How far each webhook had taken the log. */
  readonly notified: Readonly<Record<string, number>>;
  /** What all such entries before this one tell, as they may leave the log; older entries do not have it. */
  readonly earlier?: ArchivedSoFar;
};

/** `notification.delivered`: how far a webhook has taken the log, or from where on it is to be told. */
export type NotifiedData = { readonly url: string; readonly through_seq: number };
