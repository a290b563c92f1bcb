/** The health of the service, as `GET /health` shows it. */
import type { LogFindings } from './audit/log-findings.ts';
import type { AuditLog } from './audit/log.ts';
import { ACTIONS } from '../machines/vocabulary.ts';
import { type Clock, DAY, HOUR, MINUTE, SECOND } from './clock.ts';
import type { OverdueWatch, UnconfirmedDirective } from './containment/overdue-watch.ts';
import type { Notifier } from './containment/notifier.ts';
import type { RecorderHeartbeats } from './containment/recorder-heartbeats.ts';
import type { DetailedWebhookStatus, WebhookStatus } from './containment/webhook-feed.ts';
import { jumpInWords } from './domain/clock-jumps.ts';
import { isUndelivered } from './domain/delivery.ts';
import type { GuardStatus, GuardWatch } from './incidents/guard-watch.ts';
import { expiresSoon } from './domain/silence.ts';
import type { ClockJump } from './domain/entries.ts';
import type { Policy } from './policy/policy.ts';
import { channelOf, type Targets } from './policy/targets.ts';
import type { Projections } from './projections/projections.ts';
import { VERSION } from './version.ts';

export interface HealthDependencies {
  readonly log: Pick<AuditLog, 'status'>;
  readonly projections: Projections;
  readonly policy: { readonly current: Policy };
  readonly access: { fault(): string | undefined; readonly summary: object };
  /** What an operator should know although the service works. */
  readonly troubles: () => readonly string[];
  /** The same of what the configuration lacks, which may be so for years. */
  readonly shortcomings: () => readonly string[];
  readonly notifier: Pick<Notifier, 'status' | 'detailedStatus'>;
  readonly overdue: Pick<OverdueWatch, 'unconfirmed'>;
  readonly guards: Pick<GuardWatch, 'status'>;
  readonly clock: Clock;
  readonly heartbeats: Pick<RecorderHeartbeats, 'status'>;
  readonly verification: { readonly verified: number | undefined };
  readonly findings: Pick<LogFindings, 'open'>;
  readonly identity: { readonly id: string | undefined };
  /** RFC 3339. */
  readonly startedAt: string;
  /** The last entry of the log when the service started. */
  readonly startedSeq: number;
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
  access,
}: Pick<HealthDependencies, 'log' | 'projections' | 'access'>): readonly string[] {
  const { state, writable, reason } = log.status;
  return [
    writable ? undefined : (reason ?? `the audit log is ${state}`),
    projections.reading,
    projections.unfinished && projections.reading === undefined
      ? `reads are behind the audit log: ${projections.fault?.message ?? 'catching up'}`
      : undefined,
    access.fault(),
  ].filter((fault) => fault !== undefined);
}

/**
 * Collects the health of the service.
 * @param detailed whether webhooks are shown with their paths and the words of their answers, for readers who may know
 *   them: both can hold secrets
 */
export function healthOf(dependencies: HealthDependencies, detailed: boolean): HealthReport {
  const { log, projections, policy, notifier, troubles, shortcomings, verification, findings, identity, startedAt } =
    dependencies;
  const overdue = dependencies.overdue.unconfirmed.filter(({ isOverdue }) => isOverdue);
  const { state, writable, entries, bytes, segments, algorithm } = log.status;
  const { version, source, path, digest, loaded_at, from_environment: from } = policy.current;
  const reasons = reasonsOf(dependencies);
  const guards = dependencies.guards.status;
  const jumps = projections.clockJumps.newest();
  const anchor = anchorOf(projections, dependencies.clock.now());
  return {
    status: reasons.length === 0 ? 'ok' : 'degraded',
    ...incidentsOf(projections, dependencies.clock.now()),
    ...(reasons.length === 0 ? {} : { reasons }),
    warnings: [
      ...troubles(),
      ...clockWarnings(dependencies, jumps),
      ...anchorWarnings(anchor),
      ...overdue.map(overdueWarning),
      ...containmentWarnings(projections),
      ...notifyWarnings(notifier),
      ...heartbeatWarnings(dependencies.heartbeats),
      ...guards.flatMap(guardWarning),
      ...silenceWarnings(projections, dependencies.clock.now()),
      // Last: the console shows the first ones.
      ...shortcomings(),
    ],
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
      ...(anchor === undefined ? {} : { anchor }),
    },
    ...(jumps.length === 0 ? {} : { clock: { jumps } }),
    ...containmentOf(projections, overdue),
    guards,
    notify: detailed ? notifier.detailedStatus.map(inDetail) : notifier.status,
    policy: {
      version,
      source,
      ...(path === undefined ? {} : { path }),
      digest,
      loaded_at,
      ...(from === undefined ? {} : { targets_from_environment: from }),
    },
    access: dependencies.access.summary,
  };
}

/** How old an anchor may be before that is a warning, in milliseconds. */
const ANCHOR_MAY_BE = DAY;

/**
 * The last anchor: up to which entry, when it was recorded, and how old it is. Unknown while the log is being read. Who
 * hands anchors over may hold them back: so it is as old as what the fleet has signed, and not only as its entry.
 */
function anchorOf({ anchors, reading }: Projections, now: number) {
  const last = reading === undefined ? anchors.last() : undefined;
  if (last === undefined) return undefined;
  const since = Math.min(Date.parse(last.at), Date.parse(last.time));
  const age_seconds = Math.max(0, Math.floor((now - since) / SECOND));
  return { seq: last.anchored_seq, at: last.at, age_seconds };
}

const anchorWarnings = (anchor: ReturnType<typeof anchorOf>): readonly string[] =>
  anchor === undefined || anchor.age_seconds * SECOND <= ANCHOR_MAY_BE
    ? []
    : [
        `the last anchor of the audit log is ${ageInWords(anchor.age_seconds * SECOND)} old (entry ${anchor.seq}): ` +
          'nobody else could prove what was written since',
      ];

/** The jumps of the clock since the service has started: times before and after are not comparable. */
const clockWarnings = ({ startedSeq }: Pick<HealthDependencies, 'startedSeq'>, jumps: readonly ClockJump[]) =>
  jumps.filter(({ seq }) => seq > startedSeq).map((jump) => `${jumpInWords(jump)} (entry ${jump.seq})`);

/** How many incidents there are. Not while the log is being read at a start: then nobody knows. */
function incidentsOf({ statistics, attention, reading }: Projections, now: number) {
  if (reading !== undefined) return {};
  const { open_incidents, total_incidents } = statistics.read();
  return { open_incidents, total_incidents, needs_attention: attention.count(now) };
}

/** The silences that are nearly over: what they match will be notified again. */
function silenceWarnings({ silences, reading }: Projections, now: number): readonly string[] {
  if (reading !== undefined) return [];
  return silences
    .active(now)
    .filter((silence) => expiresSoon(silence, now))
    .map(
      ({ silence, until }) =>
        `the silence ${silence} expires in ${ageInWords(Math.max(0, Date.parse(until) - now))}, at ${until}`,
    );
}

/**
 * Which actions are engaged, how many deliveries have each status, over all actions, and which are overdue; nothing
 * while the log is being read.
 */
function containmentOf({ posture, reading }: Projections, overdue: readonly UnconfirmedDirective[]) {
  if (reading !== undefined) return {};
  const counts: Record<string, number> = {};
  for (const action of ACTIONS) {
    for (const [status, count] of Object.entries(posture.of(action).counts)) {
      counts[status] = (counts[status] ?? 0) + count;
    }
  }
  const engaged = ACTIONS.filter((action) => posture.of(action).holders > 0);
  return { containment: { engaged, deliveries: counts, overdue: overdue.map(overdueOf) } };
}

const inDetail = ({ webhook, status, lastError }: DetailedWebhookStatus): WebhookStatus => ({
  ...status,
  url: webhook.url.text,
  ...(lastError === undefined ? {} : { last_error: lastError }),
});

/** How long ago, in whole units: `90 s`, `17 min`, `12 h`, `3 d`. */
function ageInWords(age: number): string {
  const [unit, name] = AGE_UNITS.find(([size]) => age >= 2 * size) ?? [SECOND, 's'];
  return `${Math.floor(age / unit)} ${name}`;
}

const AGE_UNITS = [
  [DAY, 'd'],
  [HOUR, 'h'],
  [MINUTE, 'min'],
] as const;

const counted = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

const overdueWarning = ({ action, directive, age, overdue }: UnconfirmedDirective): string => {
  const asked = `${directive} ${action} is overdue: asked for ${ageInWords(age)} ago and not confirmed`;
  return directive === 'engage' ? `${asked}, for ${counted(Math.max(overdue, 1), 'incident', 'incidents')}` : asked;
};

const overdueOf = ({ action, directive, incident, asked_at, age, overdue }: UnconfirmedDirective) => ({
  action,
  directive,
  incident,
  asked_at,
  age_seconds: Math.floor(age / SECOND),
  incidents: Math.max(overdue, 1),
});

function containmentWarnings({ posture, reading }: Projections): readonly string[] {
  if (reading !== undefined) return [];
  return ACTIONS.flatMap((action) => {
    const { counts, release } = posture.of(action);
    const broken = (counts.failed ?? 0) + (counts.lost ?? 0);
    const forPerson = counts.needs_person ?? 0;
    const status = release?.delivery.status;
    return [
      ...(broken === 0
        ? []
        : [
            `${action} is not known to be in force for ${counted(broken, 'incident that asks', 'incidents that ask')} for it`,
          ]),
      ...(forPerson === 0
        ? []
        : [`${action} needs a person for ${counted(forPerson, 'incident', 'incidents')}: no attempt can carry it out`]),
      ...(status === 'failed' ? [`${action} could not be released`] : []),
      ...(status === 'lost' ? [`${action} is not known to be released any more`] : []),
      ...(status === 'needs_person'
        ? [`${action} could not be released, and is not tried again: it needs a person`]
        : []),
    ];
  });
}

/**
 * Deliveries that were to be sent, and whose target the policy does not have any more: nobody sends or fetches them.
 */
export function strandedWarnings({ posture }: Pick<Projections, 'posture'>, targets: Targets): readonly string[] {
  return ACTIONS.flatMap((action) => {
    const { counts, release } = posture.of(action);
    const engages = (counts.pending ?? 0) + (counts.delivering ?? 0);
    const advice = 'put it back, or have it fetched (containment/retry)';
    return [
      ...(engages > 0 && channelOf(targets, action, 'engage') !== 'push'
        ? [
            `the policy has no target for ${action} any more, and ${counted(engages, 'delivery waits', 'deliveries wait')} for it: ${advice}`,
          ]
        : []),
      ...(release !== null && isUndelivered(release.delivery) && channelOf(targets, action, 'release') !== 'push'
        ? [`the policy has no target for the release of ${action} any more, and that waits for it: ${advice}`]
        : []),
    ];
  });
}

const guardWarning = ({ source, every_seconds: every, status, heard_at }: GuardStatus): readonly string[] =>
  status !== 'silent'
    ? []
    : [
        `the guard ${source} is silent: expected every ${ageInWords(every * SECOND)}, ` +
          (heard_at === null ? 'and never heard' : `and heard last at ${heard_at}`),
      ];

const heartbeatWarnings = ({ status }: Pick<RecorderHeartbeats, 'status'>): readonly string[] =>
  status.flatMap(({ url, last_error }) =>
    last_error === undefined ? [] : [`the webhook ${url} does not take heartbeats: ${last_error}`],
  );

const notifyWarnings = ({ status }: Pick<Notifier, 'status'>): readonly string[] =>
  status.flatMap((webhook) => [
    ...(webhook.status === 'failing' ? [`the webhook ${webhook.url} takes nothing`] : []),
    ...(webhook.parked > 0
      ? [
          `the webhook ${webhook.url} does not take ${counted(webhook.parked, 'entry, which is', 'entries, which are')} tried again for a day`,
        ]
      : []),
    ...(webhook.resend?.late === true
      ? [
          `the webhook ${webhook.url} gets its unresolved incidents again every ${ageInWords(webhook.resend.took_ms)}, not every minute: Alertmanager takes an alert for over after 5 min`,
        ]
      : []),
    ...(webhook.skipped > 0
      ? [
          `${counted(webhook.skipped, 'entry was', 'entries were')} skipped for the webhook ${webhook.url} (webhooks skipped, webhooks retry)`,
        ]
      : []),
  ]);
