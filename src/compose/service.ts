/**
 * The service, put together from three parts: the record, containment, and what serves them.
 *
 * Each thing that is acquired puts its release on a stack: one for the record, and one for what serves it, which is
 * released first. Stopping, a failed log, and a start that fails half-way all run them.
 */
import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import type { Logger } from 'pino';
import { AccessInForce } from '../access/access-in-force.ts';
import { type Clock, timestamp } from '../clock.ts';
import type { BindAddress, Config } from '../config.ts';
import { requireSafeLogDirectory, requireSafeWay, requireSeparateReaders } from '../path-trust.ts';
import type { Inspect } from '../incidents/incident-actor.ts';
import type { Finding } from '../audit/findings.ts';
import { markedDamage, unmarkDamage } from '../audit/damage-marker.ts';
import { findingsIn } from '../audit/recovery.ts';
import { LOG_FORMAT, type StoredEntry } from '../domain/entries.ts';
import { type JournalLog, logDamage, verifyRest } from '../process-log.ts';
import { VERSION } from '../version.ts';
import { startContainment } from './containment.ts';
import { type OpenRecord, openRecord } from './record.ts';
import { serve } from './serve.ts';

/** How long the start waits for the proof of the database, in milliseconds. With a long log it goes on without. */
const PROOF_IS_SOON = 200;

export interface Service {
  /** The first of `addresses`. */
  readonly address: BindAddress;
  /** Where it listens. */
  readonly addresses: readonly BindAddress[];
  /** Whether the log is still being read: nothing on record can be read until then. */
  readonly isReading: boolean;
  /** Reads policy, access file and tokens again; what is refused stays out of force and is only logged. */
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
  readonly logRequest?: (fields: object, trusted: boolean) => void;
  /** Receives the texts about incidents; by default the logger does. */
  readonly logJournal?: JournalLog;
  /** Called when the service is about to answer; its start goes on a little longer. */
  readonly onServing?: () => void;
}

/**
 * Starts the service.
 * @throws RecorderError `config`, `invalid_policy`, `invalid_access`, `locked`; nothing is left behind then
 */
export async function startService(
  config: Config,
  clock: Clock,
  logger: Logger,
  {
    inspect,
    logRequest = (fields) => logger.info(fields, 'request'),
    logJournal = (text) => logger.info(text),
    onServing = () => {},
  }: Listeners = {},
): Promise<Service> {
  await using starting = new AsyncDisposableStack();
  const access = new AccessInForce(config, clock);
  requireSafeFiles(config);
  const record = await openRecord(config, clock, logger, starting, inspect);
  const { log, serviceEntries, recovered, verification } = record;
  compareAccess(access, record);
  access.requireFile();
  await using serving = new AsyncDisposableStack();
  const onFault = (error: unknown): void => logger.error({ err: error }, 'containment met an unexpected error');
  const containment = startContainment(record, clock, serving, onFault, config.attestor);
  const options = { config, clock, logger, access, logRequest, logJournal };
  // A reader that resumes at once must not be refused for a place in this very log.
  const another = log.status.entries === 0 ? undefined : await identify(record, logger);
  onServing();
  const { addresses, reload } = await serve(record, containment, options, serving);

  if (recovered.damage !== undefined) logDamage(logger, recovered.damage);
  await announceStart(record, access, another, clock, logger);
  containment.begin();
  const { early, whole } = record.catchUp;
  if (early !== undefined) {
    // The heartbeat goes on with it when it fails.
    record.catchUp.resume(log).catch((error: unknown) => logger.error({ err: error }, 'reads stay behind'));
    void whole.then(async () => {
      logger.info({ entries: log.status.entries }, 'the log is read');
      if (!compareAccess(access, record)) logger.error({ reason: access.fault() }, 'every token is refused');
      containment.begin();
      await verifyRest(verification, log, logger);
    });
  } else if (recovered.damage === undefined) {
    void verifyRest(verification, log, logger);
    // What is in force is known for certain when the database is proved; with a short log that is soon.
    await Promise.race([verification.proved, rest(PROOF_IS_SOON, undefined, { ref: false })]);
  }

  const ending = new Ending(starting.move(), serving.move());
  return {
    address: addresses[0]!,
    addresses,
    get isReading() {
      return record.projections.reading !== undefined;
    },
    reload: async () => {
      access.rereadTokens();
      await reload().catch((error: unknown) => logger.error({ err: error }, 'policy and access file not reloaded'));
    },
    stop: (reason) =>
      ending.run(() =>
        serviceEntries.record({ timestamp: timestamp(clock.now()), event: 'service.stopped', data: { reason } }),
      ),
    get failure() {
      return log.failure;
    },
    failed: log.failed.then(() => ending.run()),
  };
}

/** Whether the recorder may serve as far as its access file goes: the log says whether there was one. */
const compareAccess = (access: AccessInForce, { catchUp, projections }: OpenRecord): boolean =>
  access.compare(catchUp.early === undefined ? projections.hadAccessFile : undefined);

/** Ends the service once, whoever asks for it first: a stop, or a failed log. */
class Ending {
  readonly #record: AsyncDisposableStack;
  readonly #serving: AsyncDisposableStack;
  #done: Promise<void> | undefined;

  /** @param serving what uses the record, and is released before it */
  constructor(record: AsyncDisposableStack, serving: AsyncDisposableStack) {
    this.#record = record;
    this.#serving = serving;
  }

  /**
   * Releases everything.
   * @param last done when nothing is served any more, and the log can still be written
   * @returns the same promise to all
   */
  run(last: () => Promise<void> = async () => {}): Promise<void> {
    this.#done ??= this.#end(last);
    return this.#done;
  }

  async #end(last: () => Promise<void>): Promise<void> {
    await this.#serving.disposeAsync();
    await last();
    await this.#record.disposeAsync();
  }
}

/** @throws RecorderError `config` where others can replace the log or the key, or read the key with the log or the token */
function requireSafeFiles({
  logPath,
  keyPath,
  forensicKeyPath,
  exportKeyPath,
  tokenPath,
  stateDirectory,
  sharedLogDirectory,
  trustedBelow,
}: Config): void {
  requireSafeLogDirectory(logPath, sharedLogDirectory, trustedBelow);
  if (sharedLogDirectory && stateDirectory !== undefined) {
    requireSafeLogDirectory(join(stateDirectory, basename(logPath)), false, trustedBelow);
  }
  if (forensicKeyPath !== undefined) requireSafeWay(forensicKeyPath, trustedBelow);
  if (exportKeyPath !== undefined) requireSafeWay(exportKeyPath, trustedBelow);
  if (keyPath === undefined) return;
  requireSafeWay(keyPath, trustedBelow);
  requireSeparateReaders(keyPath, tokenPath, logPath);
}

/**
 * Records what the start has found and done.
 * @param another the finding that it is another log than before
 */
async function announceStart(
  record: OpenRecord,
  access: AccessInForce,
  another: Finding | undefined,
  clock: Clock,
  logger: Logger,
): Promise<void> {
  const { recovered, serviceEntries, findings, tornWrite, policy, catchUp } = record;
  if (recovered.repair !== undefined) {
    const { keptAs, bytes } = recovered.repair;
    logger.warn({ keptAs, bytes }, 'a torn tail was cut off the audit log');
    const data = { kept_as: keptAs, bytes, after_seq: recovered.head.entries };
    await serviceEntries.record({ timestamp: timestamp(clock.now()), event: 'log.repaired', data });
  }
  if (catchUp.early === undefined) await announceFindings(record);
  // The heartbeat tries again what fails here.
  await tornWrite.attempt().catch((error: unknown) => logger.error({ err: error }, 'a torn write is not complete'));
  const { from_environment: given } = policy.current;
  const jumped = record.clockWatch.begin(clockOf(catchUp.last));
  if (jumped !== undefined) {
    logger.warn(jumped.data, 'the clock is behind the last entry of the audit log');
    await serviceEntries.record(jumped);
  }
  await serviceEntries.record({
    timestamp: timestamp(clock.now()),
    event: 'service.started',
    data: {
      service_version: VERSION,
      log_format: LOG_FORMAT,
      policy: {
        digest: policy.current.digest,
        source: policy.current.source,
        ...(given === undefined ? {} : { targets_from_environment: given }),
      },
      checkpoint: recovered.checkpoint === 'absent' ? 'absent' : 'present',
      ...(record.log.status.entries === 0 ? { nonce: randomBytes(16).toString('hex') } : {}),
    },
  });
  const loaded = access.entry();
  if (loaded !== undefined) await serviceEntries.record(loaded);
  const changed = record.identity.id === undefined ? await identify(record, logger) : another;
  const finish = async (): Promise<void> => {
    if (changed !== undefined) await findings.report(changed);
  };
  if (catchUp.early === undefined) return finish();
  // Which findings are on record is known when the log has been read.
  void catchUp.whole
    .then(() => announceFindings(record))
    .then(finish)
    .catch((error: unknown) => logger.error({ err: error }, 'a finding is not on record'));
}

/** What the clock said when the last entry was written. */
const clockOf = (last: StoredEntry | undefined) =>
  last === undefined ? undefined : { seq: last.data.seq, timestamp: last.timestamp };

/** Records what the start has found. */
async function announceFindings({ recovered, findings, projections, beside }: OpenRecord): Promise<void> {
  for (const finding of findingsIn(recovered)) await findings.report(finding);
  const marked = recovered.damage === undefined ? markedDamage(beside) : undefined;
  if (marked !== undefined) {
    await findings.report({ name: 'log_mended', detail: `the log was damaged and verifies again: ${marked}` });
    unmarkDamage(beside);
  }
  if (projections.altered !== undefined) {
    await findings.report({ name: 'database_altered', detail: `${projections.altered}: it was rebuilt` });
  }
}

/** Finds out which log it is. Returns the finding that it is another one than before. */
const identify = ({ identity }: OpenRecord, logger: Logger): Promise<Finding | undefined> =>
  identity.establish().catch((error: unknown) => {
    logger.error({ err: error }, 'the identity of the audit log is not known');
    return undefined;
  });
