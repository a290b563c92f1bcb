/**
 * The service, wired together. `startService` is the one place where every part meets: policy → lock → log →
 * projections → recorder → API. Each thing that is acquired puts its release on a stack; stopping, and a start that
 * fails half-way, run the stack from its top.
 *
 * While it runs, a heartbeat once a second looks after what mends itself: a log that could not be written, projections
 * that fell behind, announcements that the log has not taken yet.
 */
import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { IncidentClass, Rule } from '../machines/vocabulary.ts';
import { createApp } from './api/app.ts';
import { EventStreams } from './api/events/event-streams.ts';
import { ConsoleFiles } from './api/console/console-files.ts';
import { ApiServer } from './api/server/api-server.ts';
import { ServiceToken } from './api/service-token.ts';
import { ServiceEntries } from './audit/service-entries.ts';
import { chainHash } from './audit/chain-hash.ts';
import type { Draft } from './audit/entry.ts';
import type { EntryEvent } from './domain/entry-events.ts';
import { BackgroundVerification } from './audit/background-verification.ts';
import { readKey } from './audit/key.ts';
import { AuditLog } from './audit/log.ts';
import { type Clock, SECOND, timestamp } from './clock.ts';
import type { BindAddress, Config } from './config.ts';
import { Containment } from './containment/containment.ts';
import { RecorderError } from './errors.ts';
import { healthOf, reasonsOf } from './health.ts';
import { IncidentActors, type Inspect } from './incidents/actors.ts';
import { Archivist } from './incidents/archivist.ts';
import { Changes } from './incidents/changes.ts';
import { PolicyInForce } from './incidents/policy-in-force.ts';
import { randomPool } from './incidents/random-pool.ts';
import { IncidentReads } from './incidents/incident-reads.ts';
import { Recorder } from './incidents/recorder.ts';
import { Metrics } from './metrics/metrics.ts';
import type { Policy } from './policy/policy.ts';
import { CatchUp } from './projections/catch-up.ts';
import { databasePath } from './projections/database.ts';
import { Projections } from './projections/projections.ts';
import { progressTo, tellDamage, tellEntries, verifyRest } from './process-log.ts';
import { VERSION } from './version.ts';

/** How long requests in flight may take to finish when the service stops. */
const GRACE = 10 * SECOND;
/** The same when the log has failed: their answers are refusals and need no longer. */
const GRACE_AFTER_FAILURE = 1 * SECOND;
const HEARTBEAT = 1 * SECOND;

/** The description of the API: beside the bundle, or where the build leaves it when the sources are run. */
const OPENAPI = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../dist/openapi.json' : 'openapi.json', import.meta.url),
);

/** The console's files: beside the bundle, or where the build leaves them when the sources are run. */
const CONSOLE = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../dist/console' : 'console');

export interface Service {
  readonly address: BindAddress;
  /** Reads the policy and the token again; a refused policy stays out of force and is only logged. */
  reload(): Promise<void>;
  /** Ends the service: finishes what is in flight, says so in the log, releases everything. */
  stop(reason: string): Promise<void>;
  /** Why the log could not be synced, when it could not: the process has to end. */
  readonly failure: Error | undefined;
  /** Resolves when the log has failed and everything is released. */
  readonly failed: Promise<void>;
}

export interface Listeners {
  /** Is told all that the incidents' actors do. */
  readonly inspect?: Inspect;
  /** Is told what was asked for and how it was answered; otherwise the logger is. */
  readonly tellRequest?: (fields: object) => void;
}

/**
 * Starts the service.
 * @throws RecorderError `config`, `invalid_policy`, `locked`; nothing is left behind then
 */
export async function startService(
  config: Config,
  clock: Clock,
  logger: Logger,
  listeners: Listeners = {},
): Promise<Service> {
  const releases = new AsyncDisposableStack();
  try {
    return await assemble(config, clock, logger, releases, listeners);
  } catch (error) {
    await releases.disposeAsync();
    throw error;
  }
}

async function assemble(
  config: Config,
  clock: Clock,
  logger: Logger,
  releases: AsyncDisposableStack,
  { inspect, tellRequest = (fields) => logger.info(fields, 'request') }: Listeners,
): Promise<Service> {
  const token = ServiceToken.open(config.tokenPath, clock);
  const hash = chainHash(config.keyPath === undefined ? undefined : readKey(config.keyPath));
  const policy = new PolicyInForce(config.policyPath, clock, config.allowNonLoopback);

  const directory = dirname(config.logPath);
  requireWritable(directory);
  const projections = new Projections(databasePath(config.logPath));
  releases.defer(() => projections.close());
  await projections.lookForRoom();
  const catchUp = new CatchUp(projections, progressTo(logger, clock, projections.position.seq));
  const recovered = await catchUp.recover({ path: config.logPath, hash, clock });

  const metrics = new Metrics(clock, (incident) => projections.incidents.createdAt(incident));
  releases.defer(() => metrics.stop());

  let failure: Error | undefined;
  let tellFailure: () => void = () => {};
  const syncFailed = new Promise<void>((resolve) => {
    tellFailure = resolve;
  });
  let containment: Containment | undefined;
  const log = AuditLog.open({
    path: config.logPath,
    hash,
    clock,
    recovered,
    segmentBytes: config.segmentBytes,
    onDurable: (entries, written) => {
      projections.apply(entries);
      containment?.applied();
      events.publish(entries, written);
      metrics.entries.count(entries);
      tellEntries(logger, entries);
      if (projections.fault !== undefined) logger.error({ err: projections.fault }, 'reads are behind the audit log');
    },
    onBatch: metrics.log.observe,
    betweenBatches: async () => {
      if (!projections.unfinished) await projections.compact();
    },
    onFailed: (error) => {
      failure = error;
      tellFailure();
    },
  });
  releases.defer(() => log.close());

  const incidents = new IncidentReads(log, projections);
  const events = new EventStreams({ log, kindOf: (id) => incidents.kindOf(id), clock, logger });

  const announcements = new ServiceEntries(log);
  const announce = (event: EntryEvent, data: Draft['data']): Promise<void> =>
    announcements.announce({ timestamp: timestamp(clock.now()), event, data });
  let tokenFault: string | undefined;
  const heart = setInterval(() => {
    if (tokenFault !== token.fault()) {
      tokenFault = token.fault();
      if (tokenFault === undefined) logger.info('the service token is usable again');
      else logger.error({ reason: tokenFault }, 'every token is refused');
    }
    void projections.lookForRoom();
    catchUp.resume(log).catch((error: unknown) => logger.error({ err: error }, 'reads stay behind'));
    void log.probe().then(() => announcements.retry());
    containment?.beat();
    if (torn !== undefined) void complete();
  }, HEARTBEAT);
  releases.defer(() => clearInterval(heart));

  const verification = new BackgroundVerification({ path: config.logPath, hash, clock, log, recovered });
  releases.defer(() => verification.stop());

  const actors = new IncidentActors(config.liveActors, ({ action }) => containment?.dispatcher.wake(action), inspect);
  releases.defer(() => actors.stop());
  const changes = new Changes(log, projections, clock);
  const onFault = (error: unknown): void => logger.error({ err: error }, 'containment met an unexpected error');
  containment = new Containment({ log, projections, actors, changes, policy, clock, onFault });
  releases.defer(() => containment?.stop());
  const { receipts, notifier, view: posture } = containment;
  const ruleFor = (incidentClass: IncidentClass): Rule => policy.current.rules[incidentClass];
  const recorder = new Recorder({
    changes,
    projections,
    actors,
    ruleFor,
    targets: () => policy.current.targets,
    clock,
    random: randomPool(),
  });

  let torn = catchUp.last;
  const complete = async (): Promise<void> => {
    try {
      await recorder.complete(torn);
      torn = undefined;
    } catch {
      // The log takes nothing now; the heartbeat tries again.
    }
  };

  const archivist = new Archivist({
    log,
    projections,
    changes,
    clock,
    isVerified: () => verification.verified !== undefined,
  });

  const warnings = (): readonly string[] => [
    ...policy.warnings,
    ...(hash.keyed ? [] : ['no audit key (AUDIT_HMAC_KEY_PATH): the chain shows accidents, not forgery']),
    ...(recovered.beside === 'no checkpoint'
      ? ['the log had no checkpoint at start: entries cut off its end would not show']
      : []),
  ];
  const reload = async (): Promise<Policy> => {
    const reloaded = await policy.reload(log);
    logger.info({ digest: reloaded.digest, source: reloaded.source }, 'policy reloaded');
    for (const warning of warnings()) logger.warn(warning);
    containment?.follow();
    return reloaded;
  };
  const reasons = (): readonly string[] => reasonsOf({ log, projections, token });
  metrics.watch({ log, projections, actors, streams: events, policy, verification, notifier, reasons });
  const startedAt = timestamp(clock.now());
  const server = await ApiServer.listen(
    createApp({
      recorder: {
        report: metrics.requests.countReports(recorder.report.bind(recorder), ruleFor),
        perform: recorder.perform.bind(recorder),
      },
      incidents,
      events,
      statistics: projections.statistics,
      policy,
      health: () => healthOf({ log, projections, policy, verification, token, notifier, warnings, startedAt }),
      reasons,
      metrics,
      activity: projections.activity,
      token,
      reload: async () => {
        const { version, source, digest, loaded_at } = await reload();
        return { policy: { version, source, digest, loaded_at }, warnings: warnings() };
      },
      openApi: OPENAPI,
      archive: (before) => archivist.archive(before),
      posture,
      receipts,
      console: new ConsoleFiles(CONSOLE),
      log: logger,
      tellRequest,
      clock,
      allowNonLoopback: config.allowNonLoopback,
      overUnixSocket: config.bind.kind === 'unix',
    }).callback(),
    config.bind,
    { log: logger, clock },
  );
  let grace = GRACE;
  releases.defer(() => server.close(grace));
  releases.defer(() => events.close());

  for (const warning of warnings()) logger.warn(warning);
  if (recovered.damage !== undefined) tellDamage(logger, recovered.damage);
  if (recovered.repair !== undefined) {
    const { keptAs, bytes } = recovered.repair;
    logger.warn({ keptAs, bytes }, 'a torn tail was cut off the audit log');
    await announce('log.repaired', { kept_as: keptAs, bytes, after_seq: recovered.head.entries });
  }
  await complete();
  await announce('service.started', {
    service_version: VERSION,
    policy: { digest: policy.current.digest, source: policy.current.source },
    checkpoint: recovered.beside === 'no checkpoint' ? 'absent' : 'present',
  });

  containment.follow();
  if (recovered.damage === undefined) void verifyRest(verification, log, logger);

  return {
    address: server.address,
    reload: async () => {
      token.reload();
      await reload().catch((error: unknown) => logger.error({ err: error }, 'policy not reloaded'));
    },
    stop: async (reason) => {
      clearInterval(heart);
      posture.stop();
      events.close();
      await server.close(grace);
      await containment?.stop();
      await announce('service.stopped', { reason });
      await releases.disposeAsync();
    },
    get failure() {
      return failure;
    },
    failed: syncFailed.then(() => {
      grace = GRACE_AFTER_FAILURE;
      return releases.disposeAsync();
    }),
  };
}

function requireWritable(directory: string): void {
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = code === 'ENOENT' ? 'is not there' : `can't be written (${code})`;
    throw new RecorderError('config', `AUDIT_LOG_PATH: the directory ${directory} ${what}`, { cause: error });
  }
}
