/**
 * The reads that a decision may rest on.
 *
 * `Projections.current()` is the only way to them, and it throws while the projections are behind the log: so no actor
 * wakes from an old snapshot, no key counts as new that was used, and no service is told what is no longer so. What is
 * only shown to people is read from the projections themselves.
 */
import type { IncidentClass } from '../../machines/vocabulary.ts';
import type { ArchivedData, SegmentRange } from '../domain/entries.ts';
import type { ArchivedIncidents, EntryRange } from './archived-incidents.ts';
import type { Findings } from './findings.ts';
import type { IdempotencyKeys, ReportedUnder } from './idempotency-keys.ts';
import type { IncidentDocument, Incidents, PersistedIncident } from './incidents.ts';
import type { Posture } from './posture.ts';
import type { Webhooks } from './webhooks.ts';

export interface CurrentReadsSources {
  readonly incidents: Incidents;
  readonly posture: Posture;
  readonly keys: IdempotencyKeys;
  readonly webhooks: Webhooks;
  readonly archive: ArchivedIncidents;
  readonly findings: Findings;
  /** `seq` of the last entry that was applied. */
  readonly lastSeq: () => number;
}

export class CurrentReads {
  /** Which actions are in force, and the deliveries that hold them. */
  readonly posture: Posture;
  readonly #sources: CurrentReadsSources;

  constructor(sources: CurrentReadsSources) {
    this.#sources = sources;
    this.posture = sources.posture;
  }

  /** An incident with the persisted snapshot of its actor. */
  incident(id: string): PersistedIncident | undefined {
    return this.#sources.incidents.persisted(id);
  }

  document(id: string): IncidentDocument | undefined {
    return this.#sources.incidents.get(id);
  }

  hasIncident(id: string): boolean {
    return this.#sources.incidents.has(id);
  }

  /** The unresolved incident that a report with this `dedup_key` belongs to. */
  unresolved(dedupKey: string, incidentClass: IncidentClass, source: string): string | undefined {
    return this.#sources.incidents.findUnresolved(dedupKey, incidentClass, source);
  }

  /** What was reported under an idempotency key. */
  reportedUnder(key: string): ReportedUnder | undefined {
    return this.#sources.keys.find(key);
  }

  /** The `seq` up to which a webhook has taken the log; undefined when it is new. */
  takenBy(url: string): number | undefined {
    return this.#sources.webhooks.cursor(url);
  }

  /** Why these entries have to stay in the log, or undefined. `staying` are entries before them that stay as well. */
  obstacle(range: EntryRange, staying: readonly EntryRange[]): string | undefined {
    return this.#sources.archive.obstacle(range, staying) ?? this.posture.obstacle(range);
  }

  /** The incidents reported in these entries whose releases are still on record, each once. */
  releasedBy(range: EntryRange): readonly string[] {
    return this.posture.releasedBy(range);
  }

  /** What a `log.archived` entry records of what leaves with these entries. */
  summary(range: EntryRange): Omit<ArchivedData, keyof SegmentRange | 'earlier'> {
    const { archive, webhooks, findings, lastSeq } = this.#sources;
    const found = findings.all();
    return {
      ...archive.counts(range),
      posture: this.posture.memory(range),
      posture_seq: lastSeq(),
      notified: webhooks.all(),
      ...(found.length === 0 ? {} : { findings: found }),
    };
  }
}
