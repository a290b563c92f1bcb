/**
 * Which entries raise an alert: those that ask for `log_alert`, those that say that containment went wrong or needs a
 * person, the first of an action and directive that says that it is overdue, and reports that lower a critical
 * severity, raise their incident's, by themselves or by their number, bring it back after a long silence, or come in a
 * burst; and those that ask again for what a person has released early. So do those that make void what was done for a recovery, that waive one, or that say that the machine could not
 * be attested; and an early release while a recovery is not complete.
 */
import { reasonOfVoid } from './recovery.ts';
import type { AlertData, FailedData, IncidentDraft, OverdueData, ReleasedData, RoutedIntent } from './entries.ts';
import { escalationText } from './escalation.ts';

/** What an alert repeats of its incident, so that it can be read by itself. */
export type AlertSubject = Pick<AlertData, 'class' | 'severity' | 'source'>;

/** The `alert.raised` that follows an entry in the same write; undefined when none does. */
export function alertAfter(entry: IncidentDraft, subject: AlertSubject): IncidentDraft | undefined {
  const reason = withVoid(entry, reasonOf(entry));
  if (reason === undefined) return undefined;
  const { incident, version, state } = entry.data;
  const { class: ofClass, severity, source } = subject;
  const data: AlertData = { incident, version: version + 1, state, class: ofClass, severity, source, reason };
  return { timestamp: entry.timestamp, event: 'alert.raised', data };
}

/** The reason, also when the recovery of its incident has to be done again because of an entry. */
function withVoid(entry: IncidentDraft, reason: string | undefined): string | undefined {
  if (entry.data.recovery_voided === undefined) return reason;
  const voided = `its recovery is void and has to be done again: ${reasonOfVoid(entry)}`;
  return reason === undefined ? voided : `${voided}; ${reason}`;
}

function reasonOf({ event, data }: IncidentDraft): string | undefined {
  switch (event) {
    case 'incident.reported':
      if (data.escalated_by !== undefined) return `escalated ${escalationText(data.escalated_by)}`;
      if (data.default_severity === 'critical') {
        const reported = data.report.severity ?? data.severity;
        return `reported as ${reported}; its class is critical`;
      }
      return alertAsked(data.intents);
    case 'incident.recurred':
      if (data.escalated_by !== undefined) return `escalated ${escalationText(data.escalated_by)}`;
      if (data.attention === 'severity') return `reported again, now as ${data.severity}`;
      if (data.attention === 'silence') {
        return 'reported again after a long time without an occurrence: it needs attention';
      }
      if (data.released_early !== undefined) {
        const were = data.released_early.length === 1 ? 'was' : 'were';
        return `reported again: it asks again for ${data.released_early.join(', ')}, which ${were} released early`;
      }
      if (data.burst === 'begun') return 'a burst of reports: further ones are occurrences of this incident';
      return alertAsked(data.intents ?? []);
    case 'incident.contained':
      return alertAsked(data.intents);
    case 'incident.woken':
      return alertAsked(data.intents ?? []);
    case 'containment.failed':
      return data.needs_person === true
        ? reasonForPerson(data)
        : `could not ${data.directive} ${data.action}: ${data.error}`;
    case 'containment.overdue':
      return data.first === true ? reasonOfOverdue(data) : undefined;
    case 'containment.released':
      return data.recovery_missing === undefined
        ? undefined
        : `${data.action} was released early by ${whoIn(data)} before its recovery is complete: ${data.reason}`;
    case 'containment.lost':
      return `lost ${data.action}: ${data.reason}`;
    case 'recovery.waived':
      return `its recovery is waived by ${data.by ?? data.principal ?? 'an administrator'}: ${data.reason}`;
    case 'recovery.attestation_failed':
      return `the machine could not be attested: ${data.faults?.join('; ') ?? data.error}`;
    case 'recovery.acknowledged':
    case 'recovery.attestation_requested':
    case 'recovery.attested':
    case 'incident.carried':
    case 'incident.imported':
    case 'incident.acknowledged':
    case 'incident.resolved':
    case 'incident.noted':
    case 'incident.assigned':
    case 'incident.snoozed':
    case 'incident.reopened':
    case 'containment.attempted':
    case 'containment.confirmed':
    case 'containment.retried':
    case 'containment.spared':
    case 'alert.raised':
      return undefined;
    default:
      return event satisfies never;
  }
}

const whoIn = ({ by, principal }: ReleasedData): string => by ?? principal ?? 'a person';

const reasonForPerson = ({ action, directive, error }: FailedData): string =>
  directive === 'release'
    ? `could not release ${action}, and it is not tried again; a person has to release it: ${error}`
    : `${action} needs a person: ${error}`;

const reasonOfOverdue = ({ action, directive, asked_at, waited_ms }: OverdueData): string =>
  `${directive} ${action} is overdue: asked for at ${asked_at}, ${Math.round(waited_ms / 1000)} s ago, and not confirmed`;

const alertAsked = (intents: readonly RoutedIntent[]): string | undefined =>
  intents.some(({ action, directive }) => action === 'log_alert' && directive === 'engage')
    ? 'containment asked for log_alert'
    : undefined;
