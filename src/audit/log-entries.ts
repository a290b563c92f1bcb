/** What the entries about the log itself say, beside `seq`: the shapes of their `data`. */

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

/** `log.archived`: a segment was moved to the archive, and the incidents that were reported in it have left the record. */
export type ArchivedData = SegmentRange & {
  readonly incidents: number;
  /** How often these incidents had entered each state. */
  readonly entered: Readonly<Record<string, number>>;
};
