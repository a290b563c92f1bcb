/**
 * Events for PagerDuty, as its Events API v2 lays them down: https://developer.pagerduty.com/docs/events-api-v2. Each
 * incident is one alert there: `dedup_key` is its identifier, so that later events acknowledge and resolve that alert.
 */
import type { Severity } from '../../../machines/vocabulary.ts';
import type { Incident } from '../../domain/incident.ts';
import type { NoticeSettings } from '../../domain/notice.ts';
import { VERSION } from '../../version.ts';
import { bounded, linkTo, topicOf } from './text.ts';

/** In characters, as the API has it. */
const LONGEST_SUMMARY = 1024;
const LONGEST_DESCRIPTION = 4096;

const SEVERITY_THERE: Readonly<Record<Severity, string>> = {
  critical: 'critical',
  high: 'error',
  medium: 'warning',
  low: 'info',
};

/** The event for an incident as it is now. @param routingKey that of PagerDuty's integration */
export function pagerdutyEvent(incident: Incident, settings: NoticeSettings, routingKey: string): object {
  const { id, state } = incident;
  const event = { routing_key: routingKey, dedup_key: id };
  if (state === 'resolved') return { ...event, event_action: 'resolve' };
  if (state === 'acknowledged') return { ...event, event_action: 'acknowledge' };
  const href = linkTo(settings.console_url, id);
  return {
    ...event,
    event_action: 'trigger',
    client: 'incident-recorder',
    ...(href === undefined ? {} : { client_url: href, links: [{ href, text: 'Open in the console' }] }),
    payload: payloadOf(incident),
  };
}

function payloadOf(incident: Incident): object {
  const { id, class: name, severity, source, state, description, created_at, occurrences, drill } = incident;
  const { containment, containment_actions: actions } = incident;
  const mark = drill === true ? 'DRILL: ' : '';
  return {
    summary: bounded(`${mark}${topicOf(incident)}: ${description}`, LONGEST_SUMMARY),
    source: bounded(source, LONGEST_SUMMARY),
    severity: SEVERITY_THERE[severity],
    timestamp: created_at,
    component: 'incident-recorder',
    class: name,
    custom_details: {
      incident: id,
      severity,
      state,
      description: bounded(description, LONGEST_DESCRIPTION),
      occurrences,
      ...(actions === undefined ? {} : { containment_actions: actions, containment: containment?.status }),
      ...(drill === true ? { drill } : {}),
      recorder_version: VERSION,
    },
  };
}
