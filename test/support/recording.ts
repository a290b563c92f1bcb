import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import type { Rule } from '../../machines/vocabulary.ts';
import type { AuditLog } from '../../src/audit/log.ts';
import { SECOND } from '../../src/clock.ts';
import { type OpenRecord, openRecord } from '../../src/compose/record.ts';
import type { Caller } from '../../src/domain/caller.ts';
import type { Escalation } from '../../src/domain/escalation.ts';
import type { Incident } from '../../src/domain/incident.ts';
import type { ActorRegistry } from '../../src/incidents/actor-registry.ts';
import type { Recorder } from '../../src/incidents/recorder.ts';
import type { Burst } from '../../src/policy/policy.ts';
import type { Endpoint, Target, Targets } from '../../src/policy/targets.ts';
import type { IncidentDocument } from '../../src/domain/document.ts';
import type { Projections } from '../../src/projections/projections.ts';
import { KEY } from './audit-log.ts';
import { FixedClock } from './fixed-clock.ts';

/** Somebody with a token of their own. */
export const operator = (name: string): Caller => ({ principal: name, role: 'operator', by: name });

export const parsed = ({ json }: IncidentDocument): Incident => JSON.parse(json) as Incident;

interface RecordingOptions {
  readonly liveActors?: number;
  readonly rules?: Record<string, Rule>;
  readonly segmentBytes?: number;
  readonly targets?: Targets;
  readonly burst?: Burst;
  readonly report_bytes_per_day?: number;
  readonly escalate?: readonly Escalation[];
}

const POLICY = 'policy.yaml';

/** The record as the service opens it, in a directory, without containment and API. */
export class Recording {
  readonly clock: FixedClock;
  readonly recorder: Recorder;
  readonly incidents: ActorRegistry;
  readonly log: AuditLog;
  readonly projections: Projections;
  readonly record: OpenRecord;
  /** What the incidents' actors asked for, as `action directive incident`. */
  readonly carriedOut: string[] = [];
  readonly #releases: AsyncDisposableStack;

  static readonly logIn = (directory: string): string => join(directory, 'audit.jsonl');

  static async open(
    directory: string,
    {
      liveActors = 512,
      rules = {},
      segmentBytes = 1e15,
      targets = {},
      burst,
      report_bytes_per_day,
      escalate,
    }: RecordingOptions = {},
  ): Promise<Recording> {
    const keyPath = join(directory, 'audit-key');
    if (!existsSync(keyPath)) writeFileSync(keyPath, KEY, { mode: 0o600 });
    const policyPath = join(directory, POLICY);
    writeFileSync(
      policyPath,
      JSON.stringify({
        version: 1,
        rules: Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, writtenRule(rule)])),
        targets: written(targets),
        burst: burst && writtenBurst(burst),
        report_bytes_per_day,
        escalate: escalate?.map(({ within, ...rest }) => ({ ...rest, within: `${within / SECOND}s` })),
      }),
    );
    const clock = new FixedClock();
    const releases = new AsyncDisposableStack();
    const logPath = Recording.logIn(directory);
    const config = { logPath, policyPath, keyPath, segmentBytes, liveActors, allowNonLoopback: false };
    const record = await openRecord(config, clock, pino({ level: 'silent' }), releases);
    const recording = new Recording(clock, record, releases);
    await record.catchUp.resume(record.log);
    return recording;
  }

  private constructor(clock: FixedClock, record: OpenRecord, releases: AsyncDisposableStack) {
    const { recorder, incidents, log, projections } = record;
    this.clock = clock;
    this.record = record;
    this.recorder = recorder;
    this.incidents = incidents;
    this.log = log;
    this.projections = projections;
    this.#releases = releases;
    incidents.directives.on('directive', ({ action, directive, incident }) => {
      this.carriedOut.push(`${action} ${directive} ${incident}`);
    });
    log.start(({ entries }) => projections.apply(incidents.take(entries)));
  }

  /** An incident as the projections show it. */
  incident(id: string): Incident | undefined {
    const document = this.projections.incidents.get(id);
    return document && parsed(document);
  }

  /** Makes the projections miss an entry, so that they are behind the log until `catchUp`. */
  fallBehind(): void {
    const data = { seq: this.projections.position.seq + 2, reason: 'never written' };
    const place = { offset: 0, length: 0 };
    const timestamp = '2026-11-22T07:12:00.123Z';
    this.projections.apply([
      { entry: { timestamp, event: 'service.stopped', data, prev_hash: '', entry_hash: '', algorithm: '', ...place } },
    ]);
  }

  catchUp(): Promise<void> {
    return this.record.catchUp.resume(this.log);
  }

  close(): Promise<void> {
    return this.#releases.disposeAsync();
  }
}

/** A rule in the words of a policy file. */
const writtenRule = ({ repeat, ...rule }: Rule): object => ({
  ...rule,
  ...(repeat && { repeat: { same: repeat.same, within: `${repeat.within / SECOND}s` } }),
});

/** Targets in the words of a policy file. */
const written = (targets: Targets): object =>
  Object.fromEntries(Object.entries(targets).map(([action, target]) => [action, target && writtenTarget(target)]));

const writtenTarget = ({ engage, release, confirm_every, ...rest }: Target): object => ({
  ...rest,
  ...(engage && { engage: writtenEndpoint(engage) }),
  ...(release && { release: release === 'manual' ? release : writtenEndpoint(release) }),
  ...(confirm_every === undefined ? {} : { confirm_every: `${confirm_every / SECOND}s` }),
});

const writtenBurst = ({ reports, within }: Burst): object => ({ reports, within: `${within / SECOND}s` });

const writtenEndpoint = ({ url, action }: Endpoint): object => ({ url: url.text, action });
