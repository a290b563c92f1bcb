/**
 * Notices: what a webhook with a format says about an incident, and when. All of it follows from entries of the log and
 * the incident as it is now.
 */
import { type IncidentClass, SEVERITIES, type Severity } from '../../machines/vocabulary.ts';
import { type Entry, isAboutIncident } from './entries.ts';
import type { Incident } from './incident.ts';

/** The forms in which webhooks are sent what happens. `entry`: the entries of the log as they are. */
export const VENDOR_FORMATS = ['slack', 'pagerduty', 'alertmanager'] as const;
export const FORMATS = ['entry', ...VENDOR_FORMATS] as const;
export type Format = (typeof FORMATS)[number];
/** The forms of a vendor: what is sent is made for people, and not the entry. */
export type VendorFormat = (typeof VENDOR_FORMATS)[number];

/** What notices may be grouped by. */
export const GROUPED_BY = ['class', 'source', 'severity'] as const;
export type GroupedBy = (typeof GROUPED_BY)[number];

/** How a webhook with a format shapes its notices. Times are in milliseconds. */
export interface NoticeSettings {
  /** That and worse ones, or those in the list; by default all. */
  readonly severity?: Severity | readonly Severity[] | undefined;
  readonly class?: readonly IncidentClass[] | undefined;
  /** By default true. */
  readonly send_resolved?: boolean | undefined;
  /** Whether there are notices of drills, which say so; by default none. */
  readonly drills?: boolean | undefined;
  /** The console that notices link to. */
  readonly console_url?: string | undefined;
  readonly group_by?: readonly GroupedBy[] | undefined;
  readonly group_wait?: number | undefined;
  readonly group_interval?: number | undefined;
  /** How often an unattended critical incident is told again; 0 for never. */
  readonly repeat_interval?: number | undefined;
}

/**
 * What an entry is to those who get notices: `new`, an incident needs attention; `again`, it needs attention once more
 * or more severely; `attended`, somebody has taken it or put it off; `resolved`.
 */
export type NoticeKind = 'new' | 'again' | 'attended' | 'resolved';

const KINDS: ReadonlyMap<string, NoticeKind> = new Map([
  ['incident.reported', 'new'],
  ['incident.imported', 'new'],
  ['incident.woken', 'again'],
  ['incident.acknowledged', 'attended'],
  ['incident.snoozed', 'attended'],
  ['incident.resolved', 'resolved'],
]);

/** The notice that an entry asks for, and of which incident; undefined when it asks for none. */
export function noticeIn(line: {
  readonly event: string;
  entry(): Entry;
}): { readonly kind: NoticeKind; readonly incident: string; readonly timestamp: string } | undefined {
  if (line.event !== 'incident.recurred' && !KINDS.has(line.event)) return undefined;
  const entry = line.entry();
  if (!isAboutIncident(entry)) return undefined;
  const { incident } = entry.data;
  const kind = entry.event === 'incident.recurred' ? recurrence(entry.data) : KINDS.get(entry.event);
  return kind && { kind, incident, timestamp: entry.timestamp };
}

/** A further report is a notice when it asks for attention, or raises the severity. */
const recurrence = (data: { readonly attention?: unknown; readonly escalated_by?: unknown }): NoticeKind | undefined =>
  data.attention === undefined && data.escalated_by === undefined ? undefined : 'again';

/**
 * Whether a notice still says how its incident is. Otherwise a later entry has its own notice, which says more: an
 * incident that was resolved meanwhile is not told as new.
 */
export function isStillSo(kind: NoticeKind, { state }: Pick<Incident, 'state'>): boolean {
  if (kind === 'resolved') return state === 'resolved';
  return kind === 'attended' ? state === 'acknowledged' : state === 'open' || state === 'contained';
}

/** Whether the settings of a webhook let notices of an incident through. */
export function passes(settings: NoticeSettings, incident: Pick<Incident, 'severity' | 'class' | 'drill'>): boolean {
  const { severity, class: classes, drills = false } = settings;
  if (incident.drill === true && !drills) return false;
  return severitiesOf(severity).includes(incident.severity) && (classes?.includes(incident.class) ?? true);
}

/** The severities that a setting lets through, the worst first. */
export function severitiesOf(setting: NoticeSettings['severity']): readonly Severity[] {
  if (setting === undefined) return SEVERITIES;
  if (typeof setting === 'string') return SEVERITIES.slice(0, SEVERITIES.indexOf(setting) + 1);
  return SEVERITIES.filter((severity) => setting.includes(severity));
}
