/**
 * The present state of the service. Each scrape reads it from memory and from maintained counts, so it costs the same for
 * any number of incidents.
 */
import type { Registry } from 'prom-client';
import { DELIVERY_STATUSES } from '../../machines/delivery.ts';
import { ACTIONS, CLASSES, DIRECTIVES, RESOLUTIONS, SEVERITIES, STATES } from '../../machines/vocabulary.ts';
import { type AuditLog, LOG_STATES } from '../audit/log.ts';
import { type Clock, SECOND } from '../clock.ts';
import type { OverdueWatch } from '../containment/overdue-watch.ts';
import type { Notifier } from '../containment/notifier.ts';
import type { GuardStatus, GuardWatch } from '../incidents/guard-watch.ts';
import type { ActorRegistry } from '../incidents/actor-registry.ts';
import { RECOVERY_STAGES } from '../domain/recovery.ts';
import type { Policy } from '../policy/policy.ts';
import { nameOf, originOf } from '../policy/target-url.ts';
import type { Projections } from '../projections/projections.ts';
import { VERSION } from '../version.ts';
import { addReading, addReadings, addTotal, addTotals, type Sample } from './reading.ts';

export interface StateParts {
  readonly log: Pick<AuditLog, 'status'>;
  readonly projections: Projections;
  readonly actors: Pick<ActorRegistry, 'figures'>;
  readonly streams: { readonly readers: number };
  readonly policy: { readonly current: Policy };
  readonly verification: { readonly verified: number | undefined; readonly verifiedAt: number | undefined };
  readonly notifier: Pick<Notifier, 'detailedStatus'>;
  readonly overdue: Pick<OverdueWatch, 'unconfirmed'>;
  readonly guards: Pick<GuardWatch, 'status'>;
  readonly clock: Clock;
  /** Why the service can't take reports or commands now; empty when it can. */
  readonly reasons: () => readonly string[];
}

/** Adds the figures of the present state. */
export function addStateMetrics(registry: Registry, parts: StateParts): void {
  addServiceMetrics(registry, parts);
  addLogMetrics(registry, parts);
  addAnchorMetrics(registry, parts);
  addIncidentMetrics(registry, parts);
  addContainmentMetrics(registry, parts);
  addOverdueMetrics(registry, parts);
  addWebhookMetrics(registry, parts);
  addGuardMetrics(registry, parts);
}

/** There is none before the first anchor, and none while the log is being read. */
function addAnchorMetrics(registry: Registry, { projections, clock }: StateParts): void {
  const help = 'Age of the last anchor of the log, as old as what the fleet has signed.';
  addReadings(registry, 'incident_recorder_anchor_age_seconds', help, [], () => {
    const last = projections.reading === undefined ? projections.anchors.last() : undefined;
    if (last === undefined) return [];
    const since = Math.min(Date.parse(last.at), Date.parse(last.time));
    return [[{}, Math.max(0, clock.now() - since) / SECOND]];
  });
}

function addServiceMetrics(registry: Registry, { reasons, actors, streams, policy }: StateParts): void {
  addReadings(registry, 'incident_recorder_build_info', 'The version of the service; always 1.', ['version'], () => [
    [{ version: VERSION }, 1],
  ]);
  const ready = 'Whether the service takes reports and commands, as /readyz says: 1 or 0.';
  addReading(registry, 'incident_recorder_ready', ready, () => (reasons().length === 0 ? 1 : 0));
  const info = 'The policy in force; always 1.';
  addReadings(registry, 'incident_recorder_policy_info', info, ['source', 'digest'], () => {
    const { source, digest } = policy.current;
    return [[{ source, digest }, 1]];
  });
  const loaded = 'When the policy in force was loaded, in seconds since the epoch.';
  addReading(registry, 'incident_recorder_policy_loaded_timestamp_seconds', loaded, () => {
    return Date.parse(policy.current.loaded_at) / SECOND;
  });
  addReading(
    registry,
    'incident_recorder_live_actors',
    'Incidents that have a live actor.',
    () => actors.figures.alive,
  );
  const woken = 'How often an incident got a live actor: by its report, or woken from its snapshot.';
  addTotal(registry, 'incident_recorder_actors_woken_total', woken, () => actors.figures.woken);
  const passivated =
    'How often a live actor was stopped: its incident was resolved, or others were used more recently.';
  addTotal(registry, 'incident_recorder_actors_passivated_total', passivated, () => actors.figures.passivated);
  addReading(registry, 'incident_recorder_streams', 'Open event streams.', () => streams.readers);
}

function addLogMetrics(registry: Registry, { log, projections, verification }: StateParts): void {
  const add = (name: string, help: string, read: (status: AuditLog['status']) => number): void =>
    addReading(registry, `incident_recorder_${name}`, help, () => read(log.status));
  const states = 'The state of the audit log: 1 for the one that it is in.';
  addReadings(registry, 'incident_recorder_audit_state', states, ['state'], () => {
    const { state: current } = log.status;
    return LOG_STATES.map((state): Sample<'state'> => [{ state }, state === current ? 1 : 0]);
  });
  add('audit_last_seq', 'seq of the last entry on disk.', ({ entries }) => entries);
  add('audit_verified_seq', 'seq up to which this process has verified the log.', () => verification.verified ?? 0);
  add(
    'log_verified_timestamp_seconds',
    'When the whole log was verified last, in seconds since the epoch; 0 until it was.',
    () => (verification.verifiedAt ?? 0) / SECOND,
  );
  add('audit_file_bytes', 'Size of the current file of the audit log.', ({ bytes }) => bytes);
  add('audit_segments', 'Files that make up the audit log.', ({ segments }) => segments);
  add('queue_entries', 'Entries that wait for their batch.', ({ waiting }) => waiting);
  const lag = 'Entries of the audit log that reads do not show yet.';
  add('projection_lag_entries', lag, ({ entries }) => entries - projections.position.seq);
}

function addIncidentMetrics(registry: Registry, { projections, clock }: StateParts): void {
  const help = 'Incidents on record, by class, severity and present state.';
  const labels = ['class', 'severity', 'state'] as const;
  addReadings(registry, 'incident_recorder_incidents', help, labels, function* read() {
    // All combinations, including those with none: a value that falls to 0 must be visible.
    for (const incidentClass of CLASSES)
      for (const severity of SEVERITIES)
        for (const state of STATES) yield [{ class: incidentClass, severity, state }, 0];
    for (const { count, ...kind } of projections.statistics.population()) yield [kind, count];
  });
  addReading(
    registry,
    'incident_recorder_incidents_needing_attention',
    'Incidents that need attention: nobody has acknowledged them, or something about them is overdue, broken or to be done. Without silenced and snoozed ones.',
    () => projections.attention.count(clock.now()),
  );
  addReading(
    registry,
    'incident_recorder_silences_active',
    'Silences that are active.',
    () => projections.silences.active(clock.now()).length,
  );
  const recoveries =
    'Unresolved incidents whose rule asks for a recovery, by how far it is: incomplete, attesting (the attestor is asked), complete.';
  addReadings(registry, 'incident_recorder_recoveries', recoveries, ['stage'], () => {
    const counts = projections.statistics.recoveries();
    return RECOVERY_STAGES.map((stage): Sample<'stage'> => [{ stage }, counts[stage]]);
  });
  const resolved = 'Resolved incidents on record, by what they turned out to be, where that was said.';
  addReadings(registry, 'incident_recorder_incidents_by_resolution', resolved, ['resolution'], () => {
    const { by_resolution: counts } = projections.statistics.read();
    return RESOLUTIONS.map((resolution): Sample<'resolution'> => [{ resolution }, counts[resolution]]);
  });
}

function addContainmentMetrics(registry: Registry, { projections: { posture, statistics } }: StateParts): void {
  const far = 'Incidents on record that asked for containment, by how far it is; of resolved ones, how far it was.';
  addReadings(registry, 'incident_recorder_incidents_by_containment', far, ['containment'], () =>
    Object.entries(statistics.read().by_containment).map(([containment, count]): Sample<'containment'> => [
      { containment },
      count,
    ]),
  );
  const holders = 'Unresolved incidents that ask for an action; without any it is released.';
  addReadings(registry, 'incident_recorder_containment_holders', holders, ['action'], () =>
    ACTIONS.map((action): Sample<'action'> => [{ action }, posture.of(action).holders]),
  );
  const known =
    'Incidents that ask for an action (asked), for which it is carried out, and for which that is not known.';
  addReadings(registry, 'incident_recorder_containment_posture', known, ['action', 'known'], function* read() {
    for (const action of ACTIONS) {
      const { holders: asked, counts } = posture.of(action);
      // An alert is carried out by its entry.
      const carriedOut = action === 'log_alert' ? asked : (counts.confirmed ?? 0);
      yield [{ action, known: 'asked' }, asked];
      yield [{ action, known: 'carried_out' }, carriedOut];
      yield [{ action, known: 'not_known' }, asked - carriedOut];
    }
  });
  const heard = 'When the service of an action was last heard of, in seconds since the epoch; 0 when it never was.';
  addReadings(registry, 'incident_recorder_containment_heard_timestamp_seconds', heard, ['action'], () =>
    ACTIONS.map((action): Sample<'action'> => {
      const { heard_at } = posture.of(action);
      return [{ action }, heard_at === null ? 0 : Date.parse(heard_at) / SECOND];
    }),
  );
  const help = 'Deliveries of the actions that are asked for, by status.';
  const labels = ['action', 'status'] as const;
  addReadings(registry, 'incident_recorder_containment_deliveries', help, labels, function* read() {
    for (const action of ACTIONS) {
      const { counts } = posture.of(action);
      for (const status of DELIVERY_STATUSES) yield [{ action, status }, counts[status] ?? 0];
    }
  });
}

function addOverdueMetrics(registry: Registry, { overdue, policy }: StateParts): void {
  const labels = ['action', 'directive'] as const;
  const add = (name: string, help: string, read: (one: OverdueWatch['unconfirmed'][number]) => number): void =>
    addReadings(registry, `incident_recorder_containment_${name}`, help, labels, function* values() {
      const { unconfirmed } = overdue;
      for (const action of ACTIONS) {
        for (const directive of DIRECTIVES) {
          const found = unconfirmed.find((one) => one.action === action && one.directive === directive);
          yield [{ action, directive }, found === undefined ? 0 : read(found)];
        }
      }
    });
  const oldest =
    'How long ago the oldest directive of an action was asked for that is not known to be carried out; 0 for none.';
  add('oldest_unconfirmed_seconds', oldest, ({ age }) => age / SECOND);
  add('overdue', 'Directives of an action that were not confirmed in time and still are not.', (one) => one.overdue);
  addReading(
    registry,
    'incident_recorder_containment_overdue_after_seconds',
    'After how long the policy in force calls a directive overdue that is not confirmed.',
    () => policy.current.overdue_after / SECOND,
  );
}

function addGuardMetrics(registry: Registry, { guards }: StateParts): void {
  const add = (name: string, help: string, read: (guard: GuardStatus) => number): void =>
    addReadings(registry, `incident_recorder_guard_${name}`, help, ['source'], () =>
      guards.status.map((guard): Sample<'source'> => [{ source: guard.source }, read(guard)]),
    );
  add('silent', 'Whether a source that the policy expects is silent: 1 or 0.', ({ status }) =>
    status === 'silent' ? 1 : 0,
  );
  const heard =
    'When a source that the policy expects was heard last, in seconds since the epoch; 0 when it never was.';
  add('heard_timestamp_seconds', heard, ({ heard_at }) => (heard_at === null ? 0 : Date.parse(heard_at) / SECOND));
  add('every_seconds', 'How often the policy expects to hear a source.', ({ every_seconds }) => every_seconds);
}

/** The origin of each webhook, since its path may be a secret; where several have the same one, a tag tells them apart. */
const labelled = (statuses: Notifier['detailedStatus']) =>
  statuses.map(({ webhook: { url }, status }) => {
    const isShared = statuses.filter(({ webhook }) => originOf(webhook.url) === originOf(url)).length > 1;
    return { labels: { url: isShared ? nameOf(url) : originOf(url) }, status };
  });

function addWebhookMetrics(registry: Registry, { notifier }: StateParts): void {
  const failing = 'Whether the webhook fails now: 1 or 0.';
  addReadings(registry, 'incident_recorder_webhook_failing', failing, ['url'], () =>
    labelled(notifier.detailedStatus).map(({ labels, status }): Sample<'url'> => [
      labels,
      status.status === 'failing' ? 1 : 0,
    ]),
  );
  const behind = 'Entries of the audit log that have not been sent to the webhook.';
  addReadings(registry, 'incident_recorder_webhook_behind_entries', behind, ['url'], () =>
    labelled(notifier.detailedStatus).map(({ labels, status }): Sample<'url'> => [labels, status.behind]),
  );
  const parked = 'Entries that the webhook does not take while it takes others; they are tried again.';
  addReadings(registry, 'incident_recorder_webhook_parked_entries', parked, ['url'], () =>
    labelled(notifier.detailedStatus).map(({ labels, status }): Sample<'url'> => [labels, status.parked]),
  );
  const skipped = 'Entries on record that are not sent to the webhook any more.';
  addReadings(registry, 'incident_recorder_webhook_skipped_entries', skipped, ['url'], () =>
    labelled(notifier.detailedStatus).map(({ labels, status }): Sample<'url'> => [labels, status.skipped]),
  );
  const resend =
    'How long it takes to send an Alertmanager all unresolved incidents again, in seconds; more than 60 is late.';
  addReadings(registry, 'incident_recorder_webhook_resend_seconds', resend, ['url'], () =>
    labelled(notifier.detailedStatus).flatMap(({ labels, status }): readonly Sample<'url'>[] =>
      status.resend === undefined ? [] : [[labels, status.resend.took_ms / SECOND]],
    ),
  );
  const refused = 'Entries that the webhook has refused for good: they were skipped.';
  addTotals(registry, 'incident_recorder_webhook_refused_entries_total', refused, ['url'], () =>
    labelled(notifier.detailedStatus).map(({ labels, status }): Sample<'url'> => [labels, status.refused]),
  );
}
