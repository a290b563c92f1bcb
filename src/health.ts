/** The health of the service, as `GET /health` shows it. */
import type { LogFindings } from './audit/log-findings.ts';
import type { AuditLog } from './audit/log.ts';
import { ACTIONS } from '../machines/vocabulary.ts';
import type { Notifier } from './containment/notifier.ts';
import type { DetailedWebhookStatus, WebhookStatus } from './containment/webhook-feed.ts';
import type { Policy } from './policy/policy.ts';
import type { Projections } from './projections/projections.ts';
import { VERSION } from './version.ts';

export interface HealthDependencies {
  readonly log: Pick<AuditLog, 'status'>;
  readonly projections: Projections;
  readonly policy: { readonly current: Policy };
  readonly token: { fault(): string | undefined };
  /** What an operator should know although the service works. */
  readonly warnings: () => readonly string[];
  readonly notifier: Pick<Notifier, 'status' | 'detailedStatus'>;
  readonly verification: { readonly verified: number | undefined };
  readonly findings: Pick<LogFindings, 'open'>;
  readonly identity: { readonly id: string | undefined };
  /** RFC 3339. */
  readonly startedAt: string;
}

export interface HealthReport {
  /** `degraded` while reports or commands are refused; `reasons` says why. */
  readonly status: 'ok' | 'degraded';
  readonly [detail: string]: unknown;
}

/** Why reports or commands are refused at the moment. Empty when they are taken. */
export function reasonsOf({
  log,
  projections,
  token,
}: Pick<HealthDependencies, 'log' | 'projections' | 'token'>): readonly string[] {
  const { state, writable, reason } = log.status;
  return [
    writable ? undefined : (reason ?? `the audit log is ${state}`),
    projections.reading,
    projections.unfinished && projections.reading === undefined
      ? `reads are behind the audit log: ${projections.fault?.message ?? 'catching up'}`
      : undefined,
    token.fault(),
  ].filter((fault) => fault !== undefined);
}

/**
 * Collects the health of the service.
 * @param detailed whether webhooks are shown with their paths and the words of their answers, for readers who may know
 *   them: both can hold secrets
 */
export function healthOf(dependencies: HealthDependencies, detailed: boolean): HealthReport {
  const { log, projections, policy, notifier, warnings, verification, findings, identity, startedAt } = dependencies;
  const { state, writable, entries, bytes, segments, algorithm } = log.status;
  const { version, source, path, digest, loaded_at } = policy.current;
  const reasons = reasonsOf(dependencies);
  return {
    status: reasons.length === 0 ? 'ok' : 'degraded',
    ...incidentsOf(projections),
    ...(reasons.length === 0 ? {} : { reasons }),
    warnings: [...warnings(), ...containmentWarnings(projections), ...notifyWarnings(notifier)],
    version: VERSION,
    started_at: startedAt,
    audit: {
      writable,
      state,
      last_seq: entries,
      verified_seq: verification.verified ?? null,
      segments,
      bytes,
      algorithm,
      log_id: identity.id ?? null,
      findings: findings.open.map(({ finding, detail, found_at }) => ({ finding, detail, found_at })),
    },
    ...containmentOf(projections),
    notify: detailed ? notifier.detailedStatus.map(inDetail) : notifier.status,
    policy: { version, source, ...(path === undefined ? {} : { path }), digest, loaded_at },
  };
}

/** How many incidents there are. Not while the log is being read at a start: then nobody knows. */
function incidentsOf({ statistics, reading }: Projections) {
  if (reading !== undefined) return {};
  const { open_incidents, total_incidents } = statistics.read();
  return { open_incidents, total_incidents };
}

/** Which actions are engaged, and how many deliveries have each status, over all actions; nothing while the log is being read. */
function containmentOf({ posture, reading }: Projections) {
  if (reading !== undefined) return {};
  const counts: Record<string, number> = {};
  for (const action of ACTIONS) {
    for (const [status, count] of Object.entries(posture.of(action).counts)) {
      counts[status] = (counts[status] ?? 0) + count;
    }
  }
  const engaged = ACTIONS.filter((action) => posture.of(action).holders > 0);
  return { containment: { engaged, deliveries: counts } };
}

const inDetail = ({ webhook, status, lastError }: DetailedWebhookStatus): WebhookStatus => ({
  ...status,
  url: webhook.url.text,
  ...(lastError === undefined ? {} : { last_error: lastError }),
});

function containmentWarnings({ posture, reading }: Projections): readonly string[] {
  if (reading !== undefined) return [];
  return ACTIONS.flatMap((action) => {
    const { counts, release } = posture.of(action);
    const broken = (counts.failed ?? 0) + (counts.lost ?? 0);
    return [
      ...(broken === 0 ? [] : [`${action} is not known to be in force for ${broken} incidents that ask for it`]),
      ...(release?.delivery.status === 'failed' ? [`${action} could not be released`] : []),
    ];
  });
}

const notifyWarnings = ({ status }: Pick<Notifier, 'status'>): readonly string[] =>
  status.filter((webhook) => webhook.status === 'failing').map(({ url }) => `the webhook ${url} takes nothing`);
