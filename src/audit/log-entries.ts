/** What the entries about the log itself say, beside `seq`: the shapes of their `data`. */

/** A sealed segment that was moved away, and its place in the chain. */
export type ArchivedSegment = {
  /** Name of the file. */
  readonly file: string;
  readonly first_seq: number;
  readonly last_seq: number;
  readonly bytes: number;
  /** `prev_hash` of its first entry. */
  readonly prev_hash: string;
  /** `entry_hash` of its last entry. */
  readonly last_hash: string;
};

/** `log.archived`: these segments were moved to the archive, and with them the incidents that were reported in them. */
export type ArchivedData = {
  readonly segments: readonly ArchivedSegment[];
  /** The incidents that have left the projections, and how often they had entered each state. */
  readonly incidents: number;
  readonly entered: { readonly contained: number; readonly acknowledged: number; readonly resolved: number };
};
