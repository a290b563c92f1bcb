/**
 * Alerts for Alertmanager, as its API v2 takes them (`postableAlerts` in its api/v2/openapi.yaml). The labels identify an
 * alert, so they hold nothing that changes but the severity; one without `endsAt` expires, and is sent again before that.
 */
import type { Incident } from '../../domain/incident.ts';
import type { NoticeSettings } from '../../domain/notice.ts';
import { bounded, linkTo, topicOf } from './text.ts';

const ALERT_NAME = 'SecurityIncident';
/** In characters: an alert is sent again and again. */
const LONGEST_SUMMARY = 256;
const LONGEST_DESCRIPTION = 2048;

/** The alert for an incident as it is now; it has an end when the incident is resolved. */
export function alertOf(incident: Incident, settings: NoticeSettings): object {
  const { id, class: name, severity, source, state, description, created_at, occurrences, drill } = incident;
  const generatorURL = linkTo(settings.console_url, id);
  return {
    labels: {
      alertname: ALERT_NAME,
      class: name,
      severity,
      source: bounded(source, LONGEST_SUMMARY),
      incident: id,
      ...(drill === true ? { drill: 'true' } : {}),
    },
    annotations: {
      summary: bounded(`${drill === true ? 'DRILL: ' : ''}${topicOf(incident)}`, LONGEST_SUMMARY),
      description: bounded(description, LONGEST_DESCRIPTION),
      state,
      occurrences: String(occurrences),
    },
    startsAt: created_at,
    ...(state === 'resolved' ? { endsAt: endOf(incident) } : {}),
    ...(generatorURL === undefined ? {} : { generatorURL }),
  };
}

/** When it was resolved. Alertmanager takes no alert that ends before it starts, and a clock may have been set back. */
const endOf = ({ created_at, updated_at, resolved_at = updated_at }: Incident): string =>
  resolved_at < created_at ? created_at : resolved_at;
