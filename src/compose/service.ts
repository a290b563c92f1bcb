/**
 * The service, put together from three parts: the record, containment, and what serves them.
 *
 * Each thing that is acquired puts its release on a stack. Stopping, a failed log, and a start that fails half-way all
 * run that stack from its top.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as rest } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ServiceToken } from '../api/service-token.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { BindAddress, Config } from '../config.ts';
import type { Inspect } from '../incidents/incident-actor.ts';
import { markedDamage, unmarkDamage } from '../audit/damage-marker.ts';
import { findingsIn } from '../audit/recovery.ts';
import { logDamage, verifyRest } from '../process-log.ts';
import { VERSION } from '../version.ts';
import { startContainment } from './containment.ts';
import { type OpenRecord, openRecord } from './record.ts';
import { serve } from './serve.ts';

/** How long the start waits for the proof of the database, in milliseconds. With a long log it goes on without. */
const PROOF_IS_SOON = 200;

export interface Service {
  readonly address: BindAddress;
  /** Reads the policy and the token again; a refused policy stays out of force and is only logged. */
  reload(): Promise<void>;
  /** Ends the service: finishes what is in flight, records that it stopped and why, releases everything. */
  stop(reason: string): Promise<void>;
  /** Why the log could not be synced, when it could not: the process has to end. */
  readonly failure: Error | undefined;
  /** Resolves when the log has failed and everything is released. */
  readonly failed: Promise<void>;
}

export interface Listeners {
  /** Receives every step of the incidents' actors. */
  readonly inspect?: Inspect;
  /** Receives the line of each request; by default the logger does. */
  readonly logRequest?: (fields: object) => void;
}

/**
 * Starts the service.
 * @throws RecorderError `config`, `invalid_policy`, `locked`; nothing is left behind then
 */
export async function startService(
  config: Config,
  clock: Clock,
  logger: Logger,
  { inspect, logRequest = (fields) => logger.info(fields, 'request') }: Listeners = {},
): Promise<Service> {
  await using starting = new AsyncDisposableStack();
  const token = ServiceToken.open(config.tokenPath, clock);
  const record = await openRecord(config, clock, logger, starting, inspect);
  const { log, serviceEntries, recovered, verification } = record;
  const ending: { reason?: string } = {};
  starting.defer(async () => {
    const { reason } = ending;
    if (reason === undefined) return;
    await serviceEntries.record({ timestamp: timestamp(clock.now()), event: 'service.stopped', data: { reason } });
  });
  const onFault = (error: unknown): void => logger.error({ err: error }, 'containment met an unexpected error');
  const containment = startContainment(record, clock, starting, onFault);
  const { address, reload } = await serve(record, containment, { config, clock, logger, token, logRequest }, starting);

  if (recovered.damage !== undefined) logDamage(logger, recovered.damage);
  await announceStart(record, config, clock, logger);
  containment.followPolicy();
  if (recovered.damage === undefined) {
    void verifyRest(verification, log, logger);
    // What is in force is known for certain when the database is proved; with a short log that is soon.
    await Promise.race([verification.proved, rest(PROOF_IS_SOON, undefined, { ref: false })]);
  }

  const releases = starting.move();
  return {
    address,
    reload: async () => {
      token.reload();
      await reload().catch((error: unknown) => logger.error({ err: error }, 'policy not reloaded'));
    },
    stop: async (reason) => {
      ending.reason = reason;
      await releases.disposeAsync();
    },
    get failure() {
      return log.failure;
    },
    failed: log.failed.then(() => releases.disposeAsync()),
  };
}

/** Records what the start has found and done. */
async function announceStart(
  record: OpenRecord,
  { logPath }: Pick<Config, 'logPath'>,
  clock: Clock,
  logger: Logger,
): Promise<void> {
  const { recovered, serviceEntries, findings, tornWrite, policy } = record;
  if (recovered.repair !== undefined) {
    const { keptAs, bytes } = recovered.repair;
    logger.warn({ keptAs, bytes }, 'a torn tail was cut off the audit log');
    const data = { kept_as: keptAs, bytes, after_seq: recovered.head.entries };
    await serviceEntries.record({ timestamp: timestamp(clock.now()), event: 'log.repaired', data });
  }
  for (const finding of findingsIn(recovered)) await findings.report(finding);
  const marked = recovered.damage === undefined ? markedDamage(logPath) : undefined;
  if (marked !== undefined) {
    await findings.report({ name: 'log_mended', detail: `the log was damaged and verifies again: ${marked}` });
    unmarkDamage(logPath);
  }
  if (record.projections.altered !== undefined) {
    await findings.report({ name: 'database_altered', detail: `${record.projections.altered}: it was made again` });
  }
  await tornWrite.attempt();
  await serviceEntries.record({
    timestamp: timestamp(clock.now()),
    event: 'service.started',
    data: {
      service_version: VERSION,
      policy: { digest: policy.current.digest, source: policy.current.source },
      checkpoint: recovered.checkpoint === 'absent' ? 'absent' : 'present',
      ...(record.log.status.entries === 0 ? { nonce: randomBytes(16).toString('hex') } : {}),
    },
  });
  const another = await record.identity.establish().catch((error: unknown) => {
    logger.error({ err: error }, 'the identity of the audit log is not known');
    return undefined;
  });
  if (another !== undefined) await findings.report(another);
}
