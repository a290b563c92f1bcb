/** Which entries raise an alert: those that ask for `log_alert`, and those that say that containment went wrong. */
import type { AlertData, IncidentDraft } from './entries.ts';

/** What an alert repeats of its incident, so that it can be read by itself. */
export type AlertSubject = Pick<AlertData, 'class' | 'severity' | 'source'>;

/** The `alert.raised` that follows an entry in the same write; undefined when none does. */
export function alertAfter(entry: IncidentDraft, subject: AlertSubject): IncidentDraft | undefined {
  const reason = reasonOf(entry);
  if (reason === undefined) return undefined;
  const { incident, version, state } = entry.data;
  const { class: ofClass, severity, source } = subject;
  const data: AlertData = { incident, version: version + 1, state, class: ofClass, severity, source, reason };
  return { timestamp: entry.timestamp, event: 'alert.raised', data };
}

function reasonOf({ event, data }: IncidentDraft): string | undefined {
  switch (event) {
    case 'incident.reported':
    case 'incident.contained': {
      const asked = data.intents.some(({ action, directive }) => action === 'log_alert' && directive === 'engage');
      return asked ? 'containment asked for log_alert' : undefined;
    }
    case 'containment.failed':
      return `could not ${data.directive} ${data.action}: ${data.error}`;
    case 'containment.lost':
      return `lost ${data.action}: ${data.reason}`;
    default:
      return undefined;
  }
}
