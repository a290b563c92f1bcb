/**
 * Silences: incidents that match one are recorded and contained as always, but webhooks that notify people do not get
 * them, and they do not count as needing attention.
 *
 * A silence is active from its `from` until its `until`, unless somebody has ended it: the clock alone decides, and no
 * timer runs. Whether an incident matches is in `query/silence-match.ts`, as that compares words.
 */
import type { Role } from '../../machines/vocabulary.ts';
import type { ArchivedData, EntryOf } from './entries.ts';
import type { SilenceMatchers, SilenceOnRecord, SilenceTerms } from './silence-terms.ts';

/** How a silence stands: before its time, in it, after it, or ended by somebody. */
export const SILENCE_STATES = ['pending', 'active', 'expired', 'ended'] as const;
export type SilenceState = (typeof SILENCE_STATES)[number];

/** A silence as the API shows it. Times are RFC 3339. */
export type ShownSilence = SilenceTerms & {
  readonly id: string;
  readonly by?: string;
  readonly role?: Role;
  readonly claimed?: true;
  readonly on_behalf_of?: string;
  readonly added_at: string;
  readonly state: SilenceState;
  /** Whether it is active and nearly over: see `EXPIRES_SOON`. */
  readonly expires_soon: boolean;
  /** How many incidents it keeps from needing attention now; a pending one, how many it would. */
  readonly matches: number;
  readonly ended_at?: string;
  readonly ended_by?: string;
  readonly ended_reason?: string;
};

/** How many silences may be pending or active at a time. */
export const MOST_SILENCES = 64;
/** How many of those that are over stay on record. */
export const MOST_OVER = 32;
/** What a silence may take in the log, in bytes: an entry about the archive repeats all of them. */
export const MOST_SILENCE_BYTES = 4096;

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** A silence expires soon in the last tenth of its span, of which at most a day counts, and in its last 15 minutes. */
const EXPIRES_SOON = { share: 0.1, most: DAY, least: 15 * MINUTE };

/** What a silence matches, and how long: `class=prompt_injection source=tool-firewall until 2026-11-22T09:12:00.123Z`. */
export const silenceText = (silence: Pick<SilenceTerms, keyof SilenceMatchers | 'until'>): string =>
  `${matchersText(silence)} until ${silence.until}`;

/** What a silence matches, as the command line takes it: `class=prompt_injection class=tool_call_burst q="two words"`. */
export const matchersText = ({ class: classes, source, severity, q }: SilenceMatchers): string =>
  Object.entries({ class: classes, source, severity, q: q === undefined ? [] : [q] })
    .flatMap(([name, values]) => values.map((value) => `${name}=${/\s/u.test(value) ? JSON.stringify(value) : value}`))
    .join(' ');

/** How a silence stands. @param at milliseconds since the epoch */
export function silenceState({ from, until, ended }: Pick<SilenceOnRecord, 'from' | 'until' | 'ended'>, at: number) {
  const state: SilenceState =
    ended !== undefined ? 'ended' : at < Date.parse(from) ? 'pending' : at < Date.parse(until) ? 'active' : 'expired';
  return state;
}

/** Whether a silence is pending or active. @param at milliseconds since the epoch */
export const isRunning = (silence: SilenceOnRecord, at: number): boolean => {
  const state = silenceState(silence, at);
  return state === 'pending' || state === 'active';
};

/** Whether a silence is active and nearly over. @param at milliseconds since the epoch */
export function expiresSoon(silence: SilenceOnRecord, at: number): boolean {
  if (silenceState(silence, at) !== 'active') return false;
  const until = Date.parse(silence.until);
  const span = until - Date.parse(silence.from);
  return until - at < Math.max(Math.min(span * EXPIRES_SOON.share, EXPIRES_SOON.most), EXPIRES_SOON.least);
}

/** A silence as the API shows it. @param at milliseconds since the epoch */
export function shownSilence(silence: SilenceOnRecord, at: number, matches: number): ShownSilence {
  const { silence: id, q, by, role, claimed, on_behalf_of, ended } = silence;
  const endedBy = ended && (ended.by ?? ended.principal);
  return {
    id,
    class: silence.class,
    source: silence.source,
    severity: silence.severity,
    ...(q === undefined ? {} : { q }),
    from: silence.from,
    until: silence.until,
    reason: silence.reason,
    ...(by === undefined ? {} : { by }),
    ...(role === undefined ? {} : { role }),
    ...(claimed && { claimed }),
    ...(on_behalf_of === undefined ? {} : { on_behalf_of }),
    added_at: silence.added_at,
    state: silenceState(silence, at),
    expires_soon: expiresSoon(silence, at),
    matches,
    ...(ended && { ended_at: ended.at }),
    ...(endedBy === undefined ? {} : { ended_by: endedBy }),
    ...(ended?.reason === undefined ? {} : { ended_reason: ended.reason }),
  };
}

export type SilenceEntry = EntryOf<'silence.added'> | EntryOf<'silence.ended'>;

/**
 * The silences on record after an entry, oldest first. With each new one, the oldest are forgotten of those that are
 * over then.
 */
export function silencesAfter(known: readonly SilenceOnRecord[], entry: SilenceEntry): readonly SilenceOnRecord[] {
  if (entry.event === 'silence.ended') {
    const { silence: id, seq, ...end } = entry.data;
    return known.map((one) =>
      one.silence === id && one.ended === undefined ? { ...one, ended: { at: entry.timestamp, seq, ...end } } : one,
    );
  }
  const at = Date.parse(entry.timestamp);
  const over = known.filter((one) => !isRunning(one, at));
  const forgotten = new Set(over.slice(0, Math.max(0, over.length - MOST_OVER)));
  return [...known.filter((one) => !forgotten.has(one)), { ...entry.data, added_at: entry.timestamp }];
}

/** The silences on record with those of a `log.archived` entry, as the entries about them may have left the log. */
export function withArchived(
  known: readonly SilenceOnRecord[],
  { silences = [] }: Pick<ArchivedData, 'silences'>,
): readonly SilenceOnRecord[] {
  const ids = new Set(known.map(({ silence }) => silence));
  const missing = silences.filter(({ silence }) => !ids.has(silence));
  return missing.length === 0 ? known : [...known, ...missing].toSorted((one, other) => one.seq - other.seq);
}
