import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Rule } from '../../machines/vocabulary.ts';
import { AuditLog } from '../../src/audit/log.ts';
import { IncidentActors, type IncidentIntent } from '../../src/incidents/actors.ts';
import { Changes } from '../../src/incidents/changes.ts';
import { DeliveryNews } from '../../src/incidents/delivery-news.ts';
import { Recorder } from '../../src/incidents/recorder.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import type { Targets } from '../../src/policy/targets.ts';
import { CatchUp } from '../../src/projections/catch-up.ts';
import type { Incident } from '../../src/domain/incident.ts';
import type { IncidentDocument } from '../../src/projections/incidents.ts';
import { databasePath } from '../../src/projections/database.ts';
import { Projections } from '../../src/projections/projections.ts';
import { HASH } from './audit-log.ts';
import { FixedClock } from './fixed-clock.ts';

export const parsed = ({ json }: IncidentDocument): Incident => JSON.parse(json) as Incident;

interface RecordingOptions {
  readonly liveActors?: number;
  readonly rules?: Record<string, Rule>;
  readonly segmentBytes?: number;
  readonly targets?: Targets;
}

/** A recorder with its real log and projections in a directory, without the API. */
export class Recording {
  readonly clock: FixedClock;
  readonly recorder: Recorder;
  readonly changes: Changes;
  readonly news: DeliveryNews;
  readonly log: AuditLog;
  readonly projections: Projections;
  readonly actors: IncidentActors;
  /** What was asked of other services, as `action directive incident`. */
  readonly carriedOut: string[] = [];

  static readonly logIn = (directory: string): string => join(directory, 'audit.jsonl');

  static async open(
    directory: string,
    { liveActors = 512, rules = BUILT_IN_RULES, segmentBytes = Infinity, targets = {} }: RecordingOptions = {},
  ): Promise<Recording> {
    const path = Recording.logIn(directory);
    const clock = new FixedClock();
    const projections = new Projections(databasePath(path));
    const catchUp = new CatchUp(projections);
    const recovered = await catchUp.recover({ path, hash: HASH, clock });
    const log = AuditLog.open({
      path,
      hash: HASH,
      clock,
      recovered,
      segmentBytes,
      onDurable: (entries) => projections.apply(entries),
      onFailed: (error) => {
        throw error;
      },
    });
    return new Recording(clock, log, projections, liveActors, rules, targets);
  }

  private constructor(
    clock: FixedClock,
    log: AuditLog,
    projections: Projections,
    liveActors: number,
    rules: Record<string, Rule>,
    targets: Targets,
  ) {
    this.clock = clock;
    this.log = log;
    this.projections = projections;
    this.actors = new IncidentActors(liveActors, ({ action, directive, incident }: IncidentIntent) => {
      this.carriedOut.push(`${action} ${directive} ${incident}`);
    });
    const changes = new Changes(log, projections, clock);
    this.changes = changes;
    this.news = new DeliveryNews({ changes, posture: projections.posture, actors: this.actors, clock });
    this.recorder = new Recorder({
      changes,
      projections,
      actors: this.actors,
      targets: () => targets,
      ruleFor: (incidentClass) => rules[incidentClass]!,
      clock,
      random: randomBytes,
    });
  }

  async close(): Promise<void> {
    this.actors.stop();
    await this.log.close();
    this.projections.close();
  }
}
