/** The facts that the log tells. */
export const ENTRY_EVENTS = [
  'service.started',
  'service.stopped',
  'policy.reloaded',
  'log.repaired',
  'log.resumed',
  'log.archived',
  'incident.reported',
  'incident.recurred',
  'incident.contained',
  'incident.acknowledged',
  'incident.resolved',
  'containment.attempted',
  'containment.confirmed',
  'containment.failed',
  'containment.lost',
  'containment.retried',
  'containment.heard',
  'notification.delivered',
  'alert.raised',
] as const;
export type EntryEvent = (typeof ENTRY_EVENTS)[number];

/** What webhooks are told of: all but how far they are themselves. */
export const NOTIFIED_EVENTS = ENTRY_EVENTS.filter((event) => event !== 'notification.delivered');
