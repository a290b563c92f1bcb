/**
 * The alerts that the appliance's own policy file asks for, in `alerting.webhooks`: what an entry of the log is to its
 * receivers, and the body that they know.
 */
import { writeExact } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import { type Entry, type IncidentEntry, isAboutIncident } from './entries.ts';
import type { Incident } from './incident.ts';

/**
 * The events that a receiver may ask for: containment was asked for, an incident became more severe, or something was
 * done for its recovery.
 */
export const APPLIANCE_EVENTS = ['containment', 'escalation', 'recovery'] as const;
export type ApplianceEvent = (typeof APPLIANCE_EVENTS)[number];

/** What each body says of its sender. */
const SENDER = 'incident-recorder';

/** The events of the log that may be such an alert; most lines need not be parsed. */
const isCandidate = (event: string): boolean =>
  event === 'incident.reported' ||
  event === 'incident.recurred' ||
  event === 'incident.contained' ||
  event.startsWith('recovery.');

/** What an entry is to receivers: the first that applies of those that one has asked for; undefined when nothing. */
export function applianceEventOf(
  line: { readonly event: string; entry(): Entry },
  asked: readonly ApplianceEvent[],
): ApplianceEvent | undefined {
  if (!isCandidate(line.event)) return undefined;
  const entry = line.entry();
  if (!isAboutIncident(entry)) return undefined;
  return eventsIn(entry).find((event) => asked.includes(event));
}

function eventsIn(entry: IncidentEntry): readonly ApplianceEvent[] {
  const event: string = entry.event;
  // The recorder asks for an attestation itself; what came of it is an entry of its own.
  if (event.startsWith('recovery.')) return event === 'recovery.attestation_requested' ? [] : ['recovery'];
  const { data } = entry;
  const isRaised = ('attention' in data && data.attention === 'severity') || 'escalated_by' in data;
  const isContained = 'intents' in data && (data.intents ?? []).some(({ directive }) => directive === 'engage');
  return [...(isRaised ? ['escalation' as const] : []), ...(isContained ? ['containment' as const] : [])];
}

/**
 * The body of an alert, as JSON text: exactly `event`, `timestamp`, `incident`, `actions` (where there are any),
 * `severity` and `source`.
 * @param json the incident as it is now; undefined when it has left the record, which leaves what the entry says
 */
export function applianceAlert(event: ApplianceEvent, entry: IncidentEntry, json: string | undefined): string {
  const incident = json === undefined ? remnantOf(entry) : (JSON.parse(json) as Partial<Incident>);
  const { containment_actions: actions = [], severity = 'medium' } = incident;
  return writeExact({
    event,
    timestamp: entry.timestamp,
    incident,
    ...(actions.length === 0 ? {} : { actions }),
    severity,
    source: SENDER,
  } as unknown as JsonValue);
}

function remnantOf({ data }: IncidentEntry): Partial<Incident> {
  const { incident: id, version, state } = data;
  const said = 'report' in data ? { class: data.report.class, source: data.report.source } : {};
  const severity = 'severity' in data && data.severity !== undefined ? { severity: data.severity } : {};
  return { id, ...said, ...severity, state, version };
}
