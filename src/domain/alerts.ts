/**
 * Alerts: the entries that follow others in the same write, because a policy asks for `log_alert` or because containment
 * has gone wrong.
 */
import type { EntryEvent } from './entry-events.ts';
import type { AlertData, CommandedData, FailedData, LostData, ReportedData } from './incident-entries.ts';

/** What an alert repeats of its incident, so that it can be read by itself. */
export type AlertSubject = Pick<AlertData, 'class' | 'severity' | 'source'>;

/** What an alert takes from the entry that it follows. */
export type Alerting = Pick<AlertData, 'incident' | 'version' | 'state'>;

/** The `alert.raised` that has to follow an entry, if one has. */
export function alertAfter(event: EntryEvent, data: Alerting, subject: AlertSubject): AlertData | undefined {
  const reason = reasonOf(event, data);
  if (reason === undefined) return undefined;
  const { incident, version, state } = data;
  const { class: ofClass, severity, source } = subject;
  return { incident, version: version + 1, state, class: ofClass, severity, source, reason };
}

function reasonOf(event: EntryEvent, data: unknown): string | undefined {
  switch (event) {
    case 'incident.reported':
    case 'incident.contained': {
      const { intents } = data as ReportedData | CommandedData;
      const asked = intents.some(({ action, directive }) => action === 'log_alert' && directive === 'engage');
      return asked ? 'containment asked for log_alert' : undefined;
    }
    case 'containment.failed': {
      const { action, directive, error } = data as FailedData;
      return `could not ${directive} ${action}: ${error}`;
    }
    case 'containment.lost': {
      const { action, reason } = data as LostData;
      return `lost ${action}: ${reason}`;
    }
    default:
      return undefined;
  }
}
