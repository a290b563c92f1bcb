/** The lines of the audit view: entries, bursts that are one line, and delivery entries that are hidden. */
import { type Caller, SERVICE_TOKEN } from '../../domain/caller.ts';
import { type Entry, isAboutIncident } from '../../domain/entries.ts';
import { MINUTE } from '../../clock.ts';
import type { LoggedLine } from './log-range.ts';

/** Which entries are shown. */
export interface AuditFilters {
  /** The beginning of the names of events: `incident`, `containment.overdue`. */
  readonly event: string;
  /** Part of the name of who did it. */
  readonly who: string;
  readonly role: string;
  /** Part of the id. */
  readonly incident: string;
  /** RFC 3339; empty for any time. */
  readonly since: string;
  readonly until: string;
  /** Part of the entry. */
  readonly words: string;
  /** Whether delivery entries are shown. */
  readonly noise: boolean;
}

export const readAuditFilters = (query: string): AuditFilters => {
  const given = new URLSearchParams(query);
  const text = (name: string): string => given.get(name)?.trim() ?? '';
  const time = (name: string): string => {
    const at = Date.parse(text(name));
    return Number.isNaN(at) ? '' : new Date(at).toISOString();
  };
  return {
    event: text('event'),
    who: text('who'),
    role: text('role'),
    incident: text('incident'),
    since: time('since'),
    until: time('until'),
    words: text('q'),
    noise: given.get('noise') === 'true',
  };
};

/** The query that `readAuditFilters` reads back. */
export const writeAuditFilters = ({ words, noise, ...texts }: AuditFilters): string => {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(texts)) if (value !== '') query.set(name, value);
  if (words !== '') query.set('q', words);
  if (noise) query.set('noise', 'true');
  return query.toString();
};

/** Whether anything but the delivery entries is left out. */
export const isFiltered = ({ noise: _noise, ...rest }: AuditFilters): boolean =>
  Object.values(rest).some((value) => value !== '');

/** Who did what an entry says, and in which role. */
export interface Doer {
  readonly name: string;
  readonly role: string;
  /** Whether it is a person, not a service or the recorder. */
  readonly isPerson: boolean;
}

const SERVICES: ReadonlySet<string> = new Set(['reporter', 'implementer']);

export const doerOf = ({ event, data }: Entry): Doer => {
  const { principal, by, role } = data as Partial<Caller>;
  const name = by ?? (principal === SERVICE_TOKEN ? undefined : principal);
  if (event === 'incident.reported' || event === 'incident.recurred') {
    const isPerson = role !== undefined && !SERVICES.has(role);
    return { name: name ?? data.report.source, role: role ?? 'reporter', isPerson };
  }
  if (name === undefined && role === undefined) return { name: 'recorder', role: 'service', isPerson: false };
  return { name: name ?? 'shared token', role: role ?? '', isPerson: !SERVICES.has(role ?? '') };
};

/** What an entry says in words of its own: a note, a reason, an error, what was reported. */
export const noteOf = ({ event, data }: Entry): string | undefined => {
  const { note, reason, error } = data as { note?: unknown; reason?: unknown; error?: unknown };
  const said = [note, reason, error].find((text) => typeof text === 'string');
  const action = 'action' in data ? data.action : undefined;
  if (event === 'incident.reported' || event === 'incident.recurred') return data.report.description;
  if (event === 'incident.assigned')
    return `${data.to === null ? 'to nobody' : `to ${data.to}`}${said === undefined ? '' : `: ${said}`}`;
  if (event === 'incident.snoozed') return `until ${data.until}${said === undefined ? '' : `: ${said}`}`;
  if (event === 'incident.reopened') return `as ${data.as}${said === undefined ? '' : `: ${said}`}`;
  if (event === 'guard.silent' || event === 'guard.heard') return data.source;
  if ('resolution' in data && data.resolution !== undefined)
    return `${data.resolution}${said === undefined ? '' : `: ${said}`}`;
  if (action !== undefined) return `${action}${said === undefined ? '' : `: ${said}`}`;
  return said;
};

const NOISE: ReadonlySet<string> = new Set<Entry['event']>([
  'containment.attempted',
  'containment.confirmed',
  'containment.heard',
  'notification.delivered',
]);

/** Whether an entry is about the way of a delivery, not about its outcome for people. */
export const isNoise = ({ event }: Entry): boolean => NOISE.has(event);

const admitsEntry = (filters: AuditFilters, { entry, line }: LoggedLine): boolean => {
  const has = (text: string, part: string): boolean => part === '' || text.toLowerCase().includes(part.toLowerCase());
  const { event, timestamp } = entry;
  const { name, role } = doerOf(entry);
  return (
    (filters.event === '' || event === filters.event || event.startsWith(`${filters.event}.`)) &&
    has(name, filters.who) &&
    (filters.role === '' || role === filters.role) &&
    (filters.incident === '' || (isAboutIncident(entry) && has(entry.data.incident, filters.incident))) &&
    (filters.since === '' || timestamp >= filters.since) &&
    (filters.until === '' || timestamp < filters.until) &&
    has(line, filters.words)
  );
};

export type AuditLine =
  | { readonly kind: 'entry'; readonly key: string; readonly one: LoggedLine }
  /** Newest first. */
  | { readonly kind: 'burst'; readonly key: string; readonly all: LoggedLine[] }
  | { readonly kind: 'noise'; readonly key: string; readonly all: LoggedLine[] };

/** Entries alike this near to each other are one burst, from so many on. */
const LONGEST_GAP = 10 * MINUTE;
const FEWEST = 4;
/** Other lines that may lie between two entries of a burst. */
const MOST_BETWEEN = 4;
/** And between two delivery entries that one row stands for. */
const MOST_BETWEEN_NOISE = 12;

/** What entries of a burst have in common. */
const kindOf = (entry: Entry): string => {
  const { name } = doerOf(entry);
  const { data, event } = entry;
  const { class: ofClass, source } = (data as { report?: { class: string; source: string } }).report ?? {};
  const note = ofClass === undefined ? (noteOf(entry) ?? '') : '';
  return [event, name, ofClass ?? '', source ?? '', note].join('\n');
};

/** The lines of entries that are shown, newest first. `unfolded` has the keys of lines of which each entry is shown. */
export const auditLines = (
  lines: readonly LoggedLine[],
  filters: AuditFilters,
  unfolded: ReadonlySet<string>,
): readonly AuditLine[] => {
  const found: AuditLine[] = [];
  const kinds: string[] = [];
  let noise: Extract<AuditLine, { readonly kind: 'noise' }> | undefined;
  let noiseAt = 0;
  for (const one of lines.toReversed()) {
    if (!admitsEntry(filters, one)) continue;
    const { seq } = one.entry.data;
    if (!filters.noise && isNoise(one.entry)) {
      if (noise === undefined || found.length - noiseAt > MOST_BETWEEN_NOISE || !isNear(noise.all.at(-1)!, one)) {
        noise = { kind: 'noise', key: `noise ${seq}`, all: [] };
        found.push(noise);
        kinds.push('');
        noiseAt = found.length;
      }
      noise.all.push(one);
      continue;
    }
    const kind = kindOf(one.entry);
    const at = kinds.lastIndexOf(kind);
    const before = at === -1 || kinds.length - at > MOST_BETWEEN ? undefined : found[at];
    if (before?.kind === 'burst' && isNear(before.all.at(-1)!, one)) {
      before.all.push(one);
      continue;
    }
    found.push({ kind: 'burst', key: `burst ${seq}`, all: [one] });
    kinds.push(kind);
  }
  const folded = found.flatMap((line): readonly AuditLine[] => {
    if (line.kind === 'entry' || (line.kind === 'burst' && line.all.length >= FEWEST && !unfolded.has(line.key)))
      return [line];
    if (line.kind === 'noise' && !unfolded.has(line.key)) return [line];
    return line.all.map((one) => ({ kind: 'entry', key: String(one.entry.data.seq), one }));
  });
  // What was no burst after all goes back to its place.
  return folded.toSorted((one, other) => newestOf(other) - newestOf(one));
};

const newestOf = (line: AuditLine): number => (line.kind === 'entry' ? line.one : line.all[0]!).entry.data.seq;

const isNear = (one: LoggedLine, other: LoggedLine): boolean =>
  Math.abs(Date.parse(one.entry.timestamp) - Date.parse(other.entry.timestamp)) <= LONGEST_GAP;
