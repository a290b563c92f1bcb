/**
 * The service, put together from three parts: the record, containment, and what serves them.
 *
 * Each thing that is acquired puts its release on a stack. Stopping, a failed log, and a start that fails half-way all
 * run that stack from its top.
 */
import { basename, join } from 'node:path';
import type { Logger } from 'pino';
import { ServiceToken } from '../api/service-token.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { BindAddress, Config } from '../config.ts';
import { requireSafeLogDirectory, requireSafeWay, requireSeparateReaders } from '../path-trust.ts';
import type { Inspect } from '../incidents/incident-actor.ts';
import { logDamage, verifyRest } from '../process-log.ts';
import { VERSION } from '../version.ts';
import { startContainment } from './containment.ts';
import { type OpenRecord, openRecord } from './record.ts';
import { serve } from './serve.ts';

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
  const token = ServiceToken.open(config.tokenPath, clock, config.trustedBelow);
  requireSafeFiles(config);
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
  await announceStart(record, clock, logger);
  containment.followPolicy();
  if (recovered.damage === undefined) void verifyRest(verification, log, logger);

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

/** @throws RecorderError `config` where others can replace the log or the key, or read the key with the log or the token */
function requireSafeFiles({
  logPath,
  keyPath,
  tokenPath,
  stateDirectory,
  sharedLogDirectory,
  trustedBelow,
}: Config): void {
  requireSafeLogDirectory(logPath, sharedLogDirectory, trustedBelow);
  if (sharedLogDirectory && stateDirectory !== undefined) {
    requireSafeLogDirectory(join(stateDirectory, basename(logPath)), false, trustedBelow);
  }
  if (keyPath === undefined) return;
  requireSafeWay(keyPath, trustedBelow);
  requireSeparateReaders(keyPath, tokenPath, logPath);
}

/** Records what the start has found and done. */
async function announceStart(record: OpenRecord, clock: Clock, logger: Logger): Promise<void> {
  const { recovered, serviceEntries, tornWrite, policy } = record;
  if (recovered.repair !== undefined) {
    const { keptAs, bytes } = recovered.repair;
    logger.warn({ keptAs, bytes }, 'a torn tail was cut off the audit log');
    const data = { kept_as: keptAs, bytes, after_seq: recovered.head.entries };
    await serviceEntries.record({ timestamp: timestamp(clock.now()), event: 'log.repaired', data });
  }
  await tornWrite.attempt();
  await serviceEntries.record({
    timestamp: timestamp(clock.now()),
    event: 'service.started',
    data: {
      service_version: VERSION,
      policy: { digest: policy.current.digest, source: policy.current.source },
      checkpoint: recovered.checkpoint === 'absent' ? 'absent' : 'present',
    },
  });
}
