/**
 * Opens what is on record: policy → lock → recovery → projections → log → the living incidents.
 *
 * The record is complete when this returns, and nothing is written yet: `serve` starts the log.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Logger } from 'pino';
import type { Channel, ContainmentAction, Directive } from '../../machines/vocabulary.ts';
import { BackgroundVerification } from '../audit/background-verification.ts';
import { type ChainHash, chainHash } from '../audit/chain-hash.ts';
import { ClockWatch } from '../audit/clock-watch.ts';
import { requireCurrentKey } from '../audit/continuation.ts';
import { draftsOf, type Finding } from '../audit/findings.ts';
import { requireOwnLog } from '../audit/foreign-log.ts';
import { LogIdentity } from '../audit/identity.ts';
import { readKey } from '../audit/key.ts';
import { isRecorded, LogFindings } from '../audit/log-findings.ts';
import { AuditLog } from '../audit/log.ts';
import type { Recovered } from '../audit/recovery.ts';
import { ServiceEntries } from '../audit/service-entries.ts';
import { findingOf, type MissingEntries } from '../audit/verify-chain.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Draft } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import { ActorRegistry } from '../incidents/actor-registry.ts';
import { Archivist } from '../incidents/archivist.ts';
import type { Inspect } from '../incidents/incident-actor.ts';
import { IncidentActs } from '../incidents/incident-acts.ts';
import { IncidentChanges } from '../incidents/incident-changes.ts';
import { IncidentReads } from '../incidents/incident-reads.ts';
import { PolicyInForce } from '../incidents/policy-in-force.ts';
import { randomPool } from '../incidents/random-pool.ts';
import { WakeProof } from '../incidents/wake-proof.ts';
import { Recorder } from '../incidents/recorder.ts';
import { SilenceCommands } from '../incidents/silence-commands.ts';
import { Recoveries } from '../incidents/recoveries.ts';
import { ReportCounter } from '../incidents/report-counter.ts';
import { RepeatKeys } from '../incidents/repeat-key.ts';
import { RequestTags } from '../incidents/request-tag.ts';
import { requireWritableLog } from '../path-trust.ts';
import { channelOf } from '../policy/targets.ts';
import { logDamage, progressLog } from '../process-log.ts';
import { CatchUp } from '../projections/catch-up.ts';
import { databasePath } from '../projections/database.ts';
import { PostureProof } from '../projections/posture-proof.ts';
import { Projections } from '../projections/projections.ts';
import { UntilDone } from './until-done.ts';

/** What of the configuration the record depends on. */
export type RecordConfig = Pick<
  Config,
  'policyPath' | 'allowNonLoopback' | 'logPath' | 'keyPath' | 'segmentBytes' | 'liveActors'
> &
  Partial<Pick<Config, 'sharedLogDirectory' | 'stateDirectory' | 'environmentTargets'>>;

export interface OpenRecord {
  readonly hash: ChainHash;
  readonly policy: PolicyInForce;
  readonly projections: Projections;
  readonly catchUp: CatchUp;
  readonly log: AuditLog;
  readonly recovered: Recovered;
  /** Facts about the service that reach the log sooner or later. */
  readonly serviceEntries: ServiceEntries;
  /** What was found wrong with the log. */
  readonly findings: LogFindings;
  /** Which log it is. */
  readonly identity: LogIdentity;
  readonly verification: BackgroundVerification;
  /** The path of the log in the directory of what the recorder believes. */
  readonly beside: string;
  /** Of which actions the posture is proved. */
  readonly postureProof: PostureProof;
  /** Notices when the clock jumps. */
  readonly clockWatch: ClockWatch;
  /** The living incidents. */
  readonly incidents: ActorRegistry;
  readonly recorder: Recorder;
  readonly acts: IncidentActs;
  readonly recoveries: Recoveries;
  readonly silences: SilenceCommands;
  readonly reads: IncidentReads;
  readonly changes: IncidentChanges;
  readonly archivist: Archivist;
  /** Completes the write that a crash has torn between its entries. */
  readonly tornWrite: UntilDone;
}

/**
 * Opens the record; what it acquires is released by `releases`.
 * @throws RecorderError `config`, `invalid_policy`, `locked`
 */
export async function openRecord(
  config: RecordConfig,
  clock: Clock,
  logger: Logger,
  releases: AsyncDisposableStack,
  inspect?: Inspect,
): Promise<OpenRecord> {
  const { logPath: path, segmentBytes } = config;
  const beside = besideOf(config);
  const hash = chainHash(config.keyPath === undefined ? undefined : readKey(config.keyPath));
  const policy = new PolicyInForce(config.policyPath, clock, config.allowNonLoopback, config.environmentTargets);

  requireWritable('AUDIT_LOG_PATH', dirname(path));
  if (beside !== path) requireWritable('STATE_DIRECTORY', dirname(beside));
  await requireOwnLog(path, beside);
  requireWritableLog(path);
  await requireCurrentKey(path, beside, hash);
  const projections = releases.adopt(new Projections(databasePath(beside)), (opened) => opened.close());
  await projections.lookForRoom();
  const catchUp = new CatchUp(projections, progressLog(logger, clock, projections.position.seq));
  // What this start makes from the log needs no proof.
  const isMadeBefore = projections.position.seq > 0;
  const recovered = await catchUp.recover({ path, beside, hash, clock });

  const betweenBatches = async (): Promise<void> => {
    if (!projections.unfinished) await projections.compact();
  };
  const draftsOfNew = (finding: Finding, time: string): readonly Draft[] =>
    isRecorded(projections.findings, finding) ? [] : draftsOf(finding, time);
  const log = releases.adopt(
    AuditLog.open({
      path,
      beside,
      hash,
      clock,
      recovered,
      segmentBytes,
      betweenBatches,
      draftsOf: draftsOfNew,
      holdersAt: (head) => postureProof.holdersAt(head),
      onTouched: () => verification.hurry(),
      onFound: (finding) => void findings.report(finding),
      onDamage: (damage) => logDamage(logger, damage),
    }),
    (opened) => opened.close(),
  );
  releases.defer(() => catchUp.stop());
  const serviceEntries = new ServiceEntries(log);
  const findings = new LogFindings({ log, serviceEntries, onRecord: projections.findings, clock });
  const onMissing = (missing: readonly MissingEntries[]): void => {
    for (const finding of missing.map(findingOf)) void findings.report(finding);
  };
  const isWhole = catchUp.early === undefined;
  const tables = isWhole ? projections.tables : undefined;
  const prove = isMadeBefore ? () => projections.proof(log, tables) : undefined;
  const onDifference = (difference: string): void => {
    // From a damaged log it could not be rebuilt. Reads go on.
    if (log.status.state === 'damaged') return;
    postureProof.distrust();
    verification.endProof();
    const detail = `the database was not what the log says, and is rebuilt: ${difference}`;
    logger.error({ difference }, 'the database is rebuilt from the audit log');
    projections.distrust();
    // They wake again from what the log says.
    incidents.stop();
    const onFault = (error: unknown): void => logger.error({ err: error }, 'reads stay behind');
    void catchUp.resume(log).then(() => findings.report({ name: 'database_altered', detail }), onFault);
  };
  const parts = { path, hash, clock, log, recovered, onMissing, prove, onDifference };
  const verification = new BackgroundVerification(parts);
  releases.defer(() => verification.stop());
  const isProved = (): boolean => verification.isProved;
  const postureProof = new PostureProof({ path: beside, hash, log, projections, isProved, rest: verification.rests() });
  const incidentProof = projections.incidentProof(log);
  const difference = (id: string): Promise<string | undefined> => incidentProof.difference(id);
  // To a damaged log nothing is written, and the database may hold all that is left of what it said.
  const isNeedless = (): boolean => verification.isProved || log.status.state === 'damaged';
  const wakeProof = new WakeProof({ isNeedless, difference, current: () => projections.current(), onDifference });

  const current = () => projections.current();
  const channel = (action: ContainmentAction, directive: Directive): Channel =>
    channelOf(policy.current.targets, action, directive);
  const reports = new ReportCounter({
    policy: () => policy.current,
    durable: () => {
      const { early } = catchUp;
      if (early === undefined) return projections.current().reportTimes;
      if (early.times !== undefined) return early.times;
      const reading = projections.reading ?? 'starting';
      throw new RecorderError('starting', `${reading}: how many reports of this class came is not known yet`);
    },
    clock,
  });
  const onFault = (error: unknown): void => logger.error({ err: error }, 'an incident does not take its own entry');
  const incidents = releases.adopt(
    new ActorRegistry({
      limit: config.liveActors,
      log,
      current,
      prove: (id) => wakeProof.prove(id),
      isProved: (action) => postureProof.isProved(action),
      channelOf: channel,
      clock,
      reports,
      inspect,
      onFault,
    }),
    (registry) => registry.stop(),
  );
  const clockWatch = new ClockWatch(clock);
  const isClockUncertain = (): boolean => clockWatch.isUncertain;
  const random = randomPool();
  const acts = new IncidentActs({
    isClockUncertain,
    incidents,
    projections,
    log,
    policy: () => policy.current,
    channelOf: channel,
    clock,
    random,
  });
  const recorder = new Recorder({
    isClockUncertain,
    incidents,
    projections,
    policy: () => policy.current,
    reports,
    repeats: new RepeatKeys(hash.digest('values of reports')),
    tags: new RequestTags(hash.digest('requests of reports')),
    channelOf: channel,
    early: () => catchUp.early,
    clock,
    random,
  });
  if (isMadeBefore && isWhole && recovered.damage === undefined) {
    await postureProof.begin(
      (finding) => void findings.report(finding),
      (error) => {
        if (!verification.stopped) logger.error({ err: error }, "the signed posture can't be compared");
      },
    );
  }
  const identity = new LogIdentity({ path: beside, hash, log });
  const isVerified = (): boolean => verification.verified !== undefined;
  return {
    hash,
    policy,
    projections,
    catchUp,
    log,
    recovered,
    serviceEntries,
    findings,
    identity,
    beside,
    verification,
    postureProof,
    clockWatch,
    incidents,
    recorder,
    acts,
    recoveries: new Recoveries({ incidents, projections }),
    silences: new SilenceCommands({ log, projections, clock, random }),
    reads: new IncidentReads(log, projections, () => identity.id),
    changes: new IncidentChanges(log, projections, () => identity.id),
    archivist: new Archivist({ log, projections, incidents, clock, isVerified }),
    tornWrite: new UntilDone(async () => {
      await recorder.complete(catchUp.last);
      await acts.complete();
    }),
  };
}

/**
 * The path of the log in the directory of what the recorder believes: database, checkpoint, identity, note of damage.
 */
const besideOf = ({
  logPath,
  sharedLogDirectory,
  stateDirectory,
}: Pick<RecordConfig, 'logPath' | 'sharedLogDirectory' | 'stateDirectory'>): string =>
  sharedLogDirectory && stateDirectory !== undefined ? join(stateDirectory, basename(logPath)) : logPath;

/** @throws RecorderError `config`, which names the variable that leads there */
function requireWritable(variable: string, directory: string): void {
  const refuse = (what: string, cause?: unknown): RecorderError =>
    new RecorderError('config', `${variable}: the directory ${directory} ${what}`, { cause });
  let isDirectory: boolean;
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    isDirectory = statSync(directory).isDirectory();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw refuse(code === 'ENOENT' ? 'is not there' : `can't be written (${code})`, error);
  }
  if (!isDirectory) throw refuse('is not a directory');
}
