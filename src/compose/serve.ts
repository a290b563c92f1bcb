/**
 * Serves the record: the API, the event streams, the metrics, and the heartbeat that looks after what mends itself.
 *
 * The log takes entries from here on. What happens to each batch that is on disk is the list `stages`.
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createApp } from '../api/app.ts';
import { ConsoleFiles } from '../api/console/console-files.ts';
import { WaitingAnswers } from '../api/incidents/waiting-answers.ts';
import { EventStreams } from '../api/events/event-streams.ts';
import { LogStreams } from '../api/log/log-streams.ts';
import { ApiServer } from '../api/server/api-server.ts';
import type { AccessInForce } from '../access/access-in-force.ts';
import type { DurableBatch } from '../audit/log.ts';
import { type Clock, SECOND, timestamp } from '../clock.ts';
import type { BindAddress, Config } from '../config.ts';
import { secretFaults } from '../containment/attestor.ts';
import { RecorderHeartbeats } from '../containment/recorder-heartbeats.ts';
import type { Caller } from '../domain/caller.ts';
import type { TakenEntry } from '../domain/incident.ts';
import { ArchiveSchedule } from '../incidents/archive-schedule.ts';
import type { ArchiveOutcome } from '../incidents/archivist.ts';
import { FleetCommands } from '../incidents/fleet-commands.ts';
import { LogAnchors } from '../incidents/log-anchors.ts';
import { healthOf, reasonsOf, strandedWarnings } from '../health.ts';
import { GuardWatch } from '../incidents/guard-watch.ts';
import { SnoozeWatch } from '../incidents/snooze-watch.ts';
import { Metrics } from '../metrics/metrics.ts';
import { type JournalLog, logEntries, logJournal } from '../process-log.ts';
import type { RunningContainment } from './containment.ts';
import type { Expectation } from '../policy/policy.ts';
import { evidenceBundles } from './bundles.ts';
import { forensicExports, forensicKeyWarnings } from './forensic.ts';
import type { OpenRecord } from './record.ts';

/** How long requests in flight may take to finish when the service stops. */
const GRACE = 10 * SECOND;
/** The same when the log has failed: their answers are refusals and need no longer. */
const GRACE_AFTER_FAILURE = 1 * SECOND;
const HEARTBEAT = 1 * SECOND;
/** What a policy expects that names no guards. */
const NOBODY: readonly Expectation[] = [];

/** A file that the build leaves beside the bundle, or in `dist` when the sources are run. */
const builtFile = (name: string): string =>
  join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../../dist' : '.', name);

export interface ServeOptions {
  readonly config: Pick<
    Config,
    | 'bind'
    | 'allowNonLoopback'
    | 'readAccess'
    | 'readEvidence'
    | 'maxBodyBytes'
    | 'attestor'
    | 'keyPath'
    | 'forensicKeyPath'
    | 'exportKeyPath'
  >;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly access: AccessInForce;
  /** Receives the line of each request for the log of the process. */
  readonly logRequest: (fields: object, trusted: boolean) => void;
  /** Receives the texts about incidents for the log of the process. */
  readonly logJournal: JournalLog;
}

export interface Serving {
  /** Where it listens: at least one. */
  readonly addresses: readonly BindAddress[];
  /** Reads the policy again and puts it into force. @throws RecorderError like `PolicyInForce.reload` */
  readonly reload: () => Promise<object>;
}

/** A batch that is on disk, and what the actors of its incidents have made of it. */
interface TakenBatch extends DurableBatch {
  readonly taken: readonly TakenEntry[];
}

/** Starts the log and listens; what it acquires is released by `releases`. */
export async function serve(
  record: OpenRecord,
  containment: RunningContainment,
  { config, clock, logger, access, logRequest, logJournal: journal }: ServeOptions,
  releases: AsyncDisposableStack,
): Promise<Serving> {
  const { log, projections, incidents, recorder, acts, recoveries, reads, policy, verification, findings } = record;
  const { posture, notifier, confirmations, overdue, reattestation, drills } = containment;
  const metrics = releases.adopt(new Metrics(clock), (running) => running.stop());
  const logId = (): string | undefined => record.identity.id;
  const events = new EventStreams({ log, logId, kindOf: (id) => reads.kindOf(id), clock, logger });
  const logStreams = new LogStreams({ log, logId, clock, logger });
  const anchors = new LogAnchors({ log, logId, projections, findings, fleet: () => access.fleet, clock });

  const startedAt = timestamp(clock.now());
  const startedSeq = log.status.entries;
  const forensic = forensicExports(record, config, access, clock, logger, startedAt);
  const bundles = evidenceBundles(record, config, reads, clock, logger);
  const reasons = (): readonly string[] => reasonsOf({ log, projections, access });
  const guards = new GuardWatch({
    log,
    current: () => projections.current(),
    expect: () => policy.current.expect ?? NOBODY,
    isDeaf: () => reasons().length > 0,
    clock,
    onFault: (error) => logger.error({ err: error }, 'the guards are not listened to'),
  });
  const snoozes = new SnoozeWatch({
    incidents,
    current: () => projections.current(),
    isProved: () => verification.isProved,
    clock,
    onFault: (error) => logger.error({ err: error }, 'snoozes are not ended'),
  });
  const answers = new WaitingAnswers({
    read: (id) => incidents.actor(id).read(),
    document: (id) => projections.current().document(id),
  });

  startLog(record, stagesOf(record, containment, guards, events, logStreams, answers, metrics, logger, journal));

  const archive = async (before: number, caller?: Caller): Promise<ArchiveOutcome> => {
    // Where a webhook is must outlive the entries that it has passed.
    await notifier.record();
    return record.archivist.archive(before, caller);
  };
  const schedule = releases.adopt(
    new ArchiveSchedule({
      log,
      archive,
      after: () => policy.current.archive_after,
      isVerified: () => verification.verified !== undefined && projections.reading === undefined,
      clock,
      onArchived: (outcome) => logger.info(outcome, 'archived old segments of the audit log'),
    }),
    (running) => running.stop(),
  );
  const troubles = (): readonly string[] => [
    ...warningsOf(record, access),
    ...reattestation.warnings,
    ...(schedule.fault === undefined ? [] : [`the audit log can't be archived as the policy says: ${schedule.fault}`]),
  ];
  const shortcomings = (): readonly string[] => [
    ...(access.hasFile ? [] : access.warnings),
    ...attestorWarnings(policy, config),
    ...forensicKeyWarnings(config),
  ];
  const warnings = (): readonly string[] => [...troubles(), ...shortcomings()];
  const heartbeats = new RecorderHeartbeats({
    notify: () => policy.current.notify,
    log,
    reasons,
    logId,
    startedAt,
    clock,
  });
  metrics.watch({
    log,
    projections,
    actors: incidents,
    streams: events,
    policy,
    verification,
    notifier,
    overdue,
    guards,
    clock,
    reasons,
  });
  const reload = async (caller?: Caller): Promise<object> => {
    // Neither comes into force when the other one is faulty.
    const putIntoForce = access.prepareReload(log);
    const { version, source, digest, loaded_at } = await policy.reload(log, caller);
    logger.info({ digest, source }, 'policy reloaded');
    const accessNow = await putIntoForce(caller);
    if (access.hasFile) logger.info(accessNow, 'access file reloaded');
    events.recheck();
    for (const warning of warnings()) logger.warn(warning);
    containment.followPolicy();
    guards.followPolicy();
    return {
      policy: { version, source, digest, loaded_at },
      access: accessNow,
      removed: policy.removed,
      warnings: warnings(),
    };
  };

  const app = createApp({
    recorder: {
      report: metrics.requests.countReports(recorder.report.bind(recorder), (name) => policy.current.rules[name]),
      reportAll: metrics.requests.countAllReports(
        recorder.reportAll.bind(recorder),
        (name) => policy.current.rules[name],
      ),
      perform: recorder.perform.bind(recorder),
      import: recorder.import.bind(recorder),
      release: recorder.release.bind(recorder),
    },
    acts,
    answers,
    incidents: reads,
    changes: record.changes,
    recoveries: {
      acknowledge: recoveries.acknowledge.bind(recoveries),
      waive: recoveries.waive.bind(recoveries),
      reattest: reattestation.request.bind(reattestation),
      pending: recoveries.pending.bind(recoveries),
      of: recoveries.of.bind(recoveries),
    },
    events,
    logStreams,
    anchors,
    fleetCommands: new FleetCommands({ log, projections, clock }),
    logId,
    statistics: projections.statistics,
    attention: projections.attention,
    policy,
    health: (detailed) =>
      healthOf(
        {
          log,
          projections,
          policy,
          verification,
          findings,
          identity: record.identity,
          access,
          notifier,
          overdue,
          guards,
          clock,
          heartbeats,
          troubles,
          shortcomings,
          startedAt,
          startedSeq,
        },
        detailed,
      ),
    acknowledgeDamage: (finding, signature) => findings.acknowledge(finding, signature),
    reasons,
    reading: () => projections.reading,
    metrics,
    activity: projections.activity,
    comparison: projections.comparison,
    access,
    reload,
    openApi: builtFile('openapi.json'),
    archive,
    webhooks: { skipped: () => projections.webhooks.skipped(), retry: (request) => notifier.retry(request) },
    guards,
    silences: record.silences,
    drills,
    forensic,
    bundles,
    posture,
    preview: containment.preview,
    receipts: confirmations,
    console: new ConsoleFiles(builtFile('console')),
    log: logger,
    logRequest,
    clock,
    readAccess: config.readAccess,
    readEvidence: config.readEvidence,
    maxBodyBytes: config.maxBodyBytes,
    allowNonLoopback: config.allowNonLoopback,
    overUnixSocket: config.bind.some(({ kind }) => kind !== 'tcp'),
  });
  const server = await ApiServer.listen(app.callback(), config.bind, { log: logger, clock, access });
  releases.defer(() => server.close(log.failure === undefined ? GRACE : GRACE_AFTER_FAILURE));
  releases.defer(() => events.close());
  releases.defer(() => logStreams.close());
  releases.defer(() => posture.stop());
  releases.defer(() => answers.stop());
  releases.defer(() => Promise.all([guards.stop(), snoozes.stop(), heartbeats.stop()]).then(() => {}));
  // Who waits for the attestor is answered before the server closes.
  releases.defer(() => reattestation.stop());
  const heart = setInterval(
    beatOf(record, containment, schedule, guards, snoozes, heartbeats, access, logger),
    HEARTBEAT,
  );
  releases.defer(() => clearInterval(heart));

  for (const warning of warnings()) logger.warn(warning);
  return { addresses: server.addresses, reload };
}

/** What happens to each batch that is on disk, in this order, before its appends resolve. */
const stagesOf = (
  { projections, catchUp }: OpenRecord,
  { posture, notifier }: RunningContainment,
  guards: GuardWatch,
  events: EventStreams,
  logStreams: LogStreams,
  answers: WaitingAnswers,
  metrics: Metrics,
  logger: Logger,
  journal: JournalLog,
): readonly ((batch: TakenBatch) => void)[] => [
  ({ taken }) => projections.apply(taken),
  ({ entries }) => catchUp.early?.take(entries),
  () => posture.changed(),
  ({ taken }) => answers.take(taken),
  () => notifier.wake(),
  ({ entries, written }) => events.publish(entries, written),
  () => logStreams.publish(),
  ({ entries }) => listen(guards, entries),
  metrics.log.observe,
  ({ taken }) => metrics.entries.count(taken),
  ({ taken }) => logJournal(journal, taken),
  ({ entries }) => logEntries(logger, entries),
  () => {
    if (projections.fault !== undefined) logger.error({ err: projections.fault }, 'reads are behind the audit log');
  },
];

/** Sources that report live. */
function listen(guards: GuardWatch, entries: DurableBatch['entries']): void {
  if (!guards.isListening) return;
  for (const { event, data } of entries) {
    if ('drill' in data || 'reopens' in data) continue;
    if (event === 'incident.reported' || event === 'incident.recurred') guards.heard(data.report.source);
  }
}

/** Lets the log take entries. The actors take each batch first, as the stages show what they make of it. */
function startLog({ log, incidents }: OpenRecord, stages: ReturnType<typeof stagesOf>): void {
  log.start((batch) => {
    const taken: TakenBatch = { ...batch, taken: incidents.take(batch.entries) };
    for (const stage of stages) stage(taken);
  });
}

/** What keeps attestations from being asked for: without them, incidents whose rules ask for one can only be waived. */
function attestorWarnings(
  { current: { rules } }: OpenRecord['policy'],
  { attestor }: Pick<Config, 'attestor'>,
): readonly string[] {
  if (attestor !== undefined) return secretFaults(attestor).map((fault) => `the attestor can't be asked: ${fault}`);
  const asking = Object.entries(rules).flatMap(([name, { recovery }]) => (recovery?.attest === true ? [name] : []));
  if (asking.length === 0) return [];
  return [`the policy asks for attestations (${asking.join(', ')}), and RUNTIME_ATTESTOR_URL is not set`];
}

/** What an operator should know although nothing is broken. */
function warningsOf(
  { policy, hash, findings, log, verification, projections }: OpenRecord,
  access: AccessInForce,
): readonly string[] {
  const { links } = log.status;
  return [
    ...policy.warnings,
    ...(access.hasFile ? access.warnings : []),
    ...strandedWarnings(projections, policy.current.targets),
    ...(hash.keyed ? [] : ['no audit key (AUDIT_HMAC_KEY_PATH): the chain shows accidents, not forgery']),
    ...findings.open.map(({ finding, detail }) => `${detail} (acknowledge-damage ${finding})`),
    ...(verification.fault === undefined ? [] : [`the audit log can't be verified now: ${verification.fault}`]),
    ...(links > 1 && !findings.open.some(({ finding }) => finding === 'log_linked')
      ? [`the file of the audit log has ${links} names (hard links): whoever made them can write it`]
      : []),
  ];
}

/** What is done once a second: everything here mends itself, or waits for its time. */
function beatOf(
  record: OpenRecord,
  containment: RunningContainment,
  schedule: ArchiveSchedule,
  guards: GuardWatch,
  snoozes: SnoozeWatch,
  heartbeats: RecorderHeartbeats,
  access: AccessInForce,
  logger: Logger,
): () => void {
  const { log, projections, catchUp, serviceEntries, tornWrite, clockWatch } = record;
  let tokenFault: string | undefined;
  const onFault = (what: string) => (error: unknown) => logger.error({ err: error }, what);
  return () => {
    if (tokenFault !== access.fault()) {
      tokenFault = access.fault();
      if (tokenFault === undefined) logger.info('the service token is usable again');
      else logger.error({ reason: tokenFault }, 'every token is refused');
    }
    const jumped = clockWatch.look(log.status.entries);
    if (jumped !== undefined) {
      logger.warn(jumped.data, 'the clock has jumped');
      void serviceEntries.record(jumped);
    }
    void projections.lookForRoom();
    catchUp.resume(log).catch(onFault('reads stay behind'));
    void log.probe().then(() => serviceEntries.retry());
    containment.beat();
    void guards.look();
    void snoozes.look();
    heartbeats.beat();
    void schedule.beat();
    tornWrite.attempt().catch(onFault('a torn write is not complete'));
  };
}
