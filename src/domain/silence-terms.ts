/** What silences say, as entries of the log keep it: see `silence.ts`. */
import type { IncidentClass, Severity } from '../../machines/vocabulary.ts';
import type { Caller } from './caller.ts';

/** What a silence matches: an incident that meets all of these. An empty list stands for all values. */
export type SilenceMatchers = {
  readonly class: readonly IncidentClass[];
  /** Names of sources, in full. */
  readonly source: readonly string[];
  readonly severity: readonly Severity[];
  /** Words that all occur in description, source or id, as in a search of the list. */
  readonly q?: string;
};

/** When a silence holds, and why. Times are RFC 3339. */
export type SilenceTerms = SilenceMatchers & {
  readonly from: string;
  readonly until: string;
  readonly reason: string;
};

/** How a silence was ended before its time: when, and by which entry. */
export type SilenceEnd = Partial<Caller> & { readonly at: string; readonly seq: number; readonly reason?: string };

/** A silence as the log has it. */
export type SilenceOnRecord = SilenceTerms &
  Partial<Caller> & {
    /** Its identifier: `SIL-…`. */
    readonly silence: string;
    /** The entry that added it, and the time of that. */
    readonly seq: number;
    readonly added_at: string;
    readonly ended?: SilenceEnd;
  };
