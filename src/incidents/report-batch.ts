/**
 * Records many reports with one append and one sync.
 *
 * Each report is decided as `Recorder.report` decides it, in their order. What the ones before it in the batch have left
 * counts as if it were on record (`Ahead`): so a repeat within the batch becomes an occurrence, and a key that is used
 * twice is replayed. In four steps:
 * 1. *Lock*: the batch queues for the keys of all its reports, first the idempotency keys, then what reports are folded
 *    by, as a single report does. One batch is recorded at a time.
 * 2. *Join*: the actors of the incidents on record that reports may be folded into join the shared append.
 * 3. *Decide*: without a pause, report after report. One that is refused is left out.
 * 4. *Write*: all entries are one append. When it is refused, nothing of the batch is recorded.
 */
import { CLASSES, type IncidentClass } from '../../machines/vocabulary.ts';
import { type Caller, keysOwner } from '../domain/caller.ts';
import { documentOf, type IncidentDocument } from '../domain/document.ts';
import {
  type Idempotency,
  type IncidentDraft,
  type IncidentEntry,
  isAboutIncident,
  type Report,
  type RequestTag,
  type StoredEntry,
} from '../domain/entries.ts';
import { fold, type IncidentRecord } from '../domain/incident.ts';
import { found, RecorderError } from '../errors.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import type { EarlyIndex } from '../projections/early-index.ts';
import { isOfIncident } from '../projections/incident-proof.ts';
import type { Projections } from '../projections/projections.ts';
import type { PolicyContent } from '../policy/policy.ts';
import type { Bursts, ReportKind } from './bursts.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { ActorRegistry } from './actor-registry.ts';
import type { Origin, Recorded } from './recorded.ts';
import type { RepeatKeys } from './repeat-key.ts';
import type { ReportCounter } from './report-counter.ts';
import type { ReportQuota } from './report-quota.ts';
import type { RequestTags } from './request-tag.ts';
import type { SharedAppend } from './shared-append.ts';

/** One report of a batch. */
export interface BatchedReport {
  readonly report: Report;
  readonly idempotency?: Idempotency | undefined;
  /** How long it is, as it was sent. */
  readonly bytes: number;
}

/** What became of one report of a batch. */
export type BatchOutcome = Recorded | RecorderError;

/**
 * How long the incidents on record may be together, in characters of JSON, that take part in one batch, by one incident.
 * They are held in memory until the batch is on disk, and take up to twenty times as much there.
 */
const MOST_JOINED = 256 * 1024;
/** How long the incidents may be together that one answer shows besides those that the batch opens, by one incident. */
const MOST_SHOWN = 512 * 1024;

/** What it shares with the recorder of single reports. */
interface Parts {
  readonly incidents: Pick<ActorRegistry, 'actor' | 'sharedAppend'>;
  readonly projections: Pick<Projections, 'current' | 'latest' | 'reading'>;
  readonly early?: (() => EarlyIndex | undefined) | undefined;
  readonly policy: () => Pick<PolicyContent, 'rules' | 'attention_after' | 'burst' | 'report_bytes_per_day'>;
  readonly tags: RequestTags;
  readonly repeats: RepeatKeys;
  readonly reports: Pick<ReportCounter, 'now'>;
  readonly keys: KeyedLock;
  readonly bursts: Bursts;
  readonly quota: ReportQuota;
  /** The entries that open an incident. */
  readonly draft: (
    report: Report,
    origin: Origin,
  ) => { readonly id: string; readonly drafts: readonly IncidentDraft[] };
}

interface Item extends BatchedReport {
  readonly origin: Origin;
  /** Under which keys it is handled: as in `Recorder.report`. */
  readonly fold: string | undefined;
  readonly kind: ReportKind;
  readonly kindKey: string;
}

/** A report that was decided: its incident is there when the entries are on disk. */
interface Decided {
  readonly id: string;
  /** The version of the incident after it. */
  readonly version: number;
  readonly change: Recorded['change'];
  /** There when the incident is not of this batch. */
  readonly incident?: IncidentDocument;
}

/** What the reports of a batch have left so far. */
class Ahead {
  readonly shared: SharedAppend;
  /** The incidents on record that take part, as they were before. */
  readonly joined: ReadonlyMap<string, IncidentRecord | RecorderError>;
  /** What each request was decided to be: its digest, and its incident. */
  readonly requests = new Map<string, { readonly digest: string; readonly id: string }>();
  /** The incident that reports with the same key or values belong to. */
  readonly folds = new Map<string, string>();
  /** The newest incidents that the batch has opened, by their kinds. */
  readonly newest = new Map<string, { readonly kind: ReportKind; readonly id: string }>();
  /** The versions of the incidents that the batch changes. */
  readonly versions = new Map<string, number>();
  /** How long incidents are that the batch opens or changes. */
  readonly lengths = new Map<string, number>();
  /** How long the incidents are together that the answer shows besides those that the batch opens. */
  shown = 0;

  constructor(shared: SharedAppend, joined: ReadonlyMap<string, IncidentRecord | RecorderError>) {
    this.shared = shared;
    this.joined = joined;
  }

  /** Notes that an incident is to be shown once more. @throws RecorderError `overloaded` */
  show(length: number): void {
    if (this.shown > 0 && this.shown + length > MOST_SHOWN) throw tooMuch();
    this.shown += length;
  }
}

export class ReportBatches {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** See `Recorder.reportAll`. */
  record(reports: readonly BatchedReport[], caller: Caller | undefined): Promise<readonly BatchOutcome[]> {
    const { keys } = this.#parts;
    return keys.run('batch', () => {
      const items = this.#itemsOf(reports, caller);
      const requests = new Set(items.flatMap(({ origin: { request } }) => (request ? `key ${request.id}` : [])));
      const folds = new Set(items.flatMap((item) => item.fold ?? []));
      return keys.runAll(requests, () => keys.runAll(folds, () => this.#record(items)));
    });
  }

  #itemsOf(reports: readonly BatchedReport[], caller: Caller | undefined): readonly Item[] {
    const { tags, repeats, policy } = this.#parts;
    const { rules } = policy();
    const owner = keysOwner(caller?.principal);
    return reports.map(({ report, idempotency, bytes }) => {
      const { class: ofClass, source, dedup_key: key } = report;
      const request = idempotency && tags.of(source, idempotency, owner);
      const repeat = repeats.of(report, rules[ofClass], owner);
      const kind = { class: ofClass, source, owner };
      return {
        report,
        idempotency,
        bytes,
        origin: { request, repeat, caller, owner },
        // The same names as those of a single report.
        fold: key === undefined ? repeat && `repeat ${repeat}` : JSON.stringify(['same', key, ofClass, source, owner]),
        kind,
        kindKey: JSON.stringify([ofClass, source, owner]),
      };
    });
  }

  async #record(items: readonly Item[]): Promise<readonly BatchOutcome[]> {
    const shared = this.#parts.incidents.sharedAppend();
    try {
      const ahead = new Ahead(shared, await this.#join(this.#targetsOf(items), shared));
      // Reports that wait for the same thing keep their order: none overtakes one that has to come again.
      let full: RecorderError | undefined;
      const decided = items.map((item) => {
        if (full !== undefined) return full;
        try {
          return this.#decide(item, ahead);
        } catch (error) {
          if (!(error instanceof RecorderError) || isOfAll(error)) throw error;
          if (error.code === 'overloaded') full = error;
          return error;
        }
      });
      const entries = await shared.write();
      for (const { kind, id } of ahead.newest.values()) this.#parts.bursts.opened(kind, id);
      return this.#shown(decided, entries, ahead);
    } finally {
      shared.end();
    }
  }

  /** The incidents on record that reports of the batch may be folded into. */
  #targetsOf(items: readonly Item[]): ReadonlySet<string> {
    const { projections, bursts, policy } = this.#parts;
    const { burst, report_bytes_per_day: perDay } = policy();
    const targets = new Set<string>();
    if (this.#parts.early?.() !== undefined) return targets;
    const isCounted = burst !== undefined || perDay !== undefined;
    if (!isCounted && items.every((item) => item.fold === undefined)) return targets;
    const current = projections.current();
    if (perDay !== undefined) for (const id of this.#alertedOf(items, perDay, current)) targets.add(id);
    const kinds = new Map<string, { readonly kind: ReportKind; count: number }>();
    const asked = new Set<string>();
    for (const item of items) {
      const { kind, kindKey } = item;
      const known = kinds.get(kindKey);
      if (known === undefined) kinds.set(kindKey, { kind, count: 1 });
      else known.count += 1;
      if (item.fold === undefined || asked.has(item.fold)) continue;
      asked.add(item.fold);
      const id = this.#onRecord(item, current);
      if (id !== undefined) targets.add(id);
    }
    if (burst === undefined) return targets;
    for (const { kind, count } of kinds.values()) {
      const id = bursts.target(kind, burst, count, current);
      if (id !== undefined) targets.add(id);
    }
    return targets;
  }

  /** The incidents that say that a source has reported too much today, for the sources that do so in this batch. */
  #alertedOf(items: readonly Item[], perDay: number, current: CurrentReads): readonly string[] {
    const bytes = new Map<string, number>();
    for (const { report, bytes: length } of items) bytes.set(report.source, (bytes.get(report.source) ?? 0) + length);
    const sources = [...bytes].filter(([source, sum]) => this.#parts.quota.mayExceed(source, sum, perDay, current));
    return sources.flatMap(([source]) => newestOf(source, current) ?? []);
  }

  /** In the order in which everybody joins several: see `ActorRegistry.exclusively`. */
  async #join(
    targets: ReadonlySet<string>,
    shared: SharedAppend,
  ): Promise<ReadonlyMap<string, IncidentRecord | RecorderError>> {
    const { incidents } = this.#parts;
    const joined = new Map<string, IncidentRecord | RecorderError>();
    let length = 0;
    for (const id of [...targets].toSorted()) {
      if (length > MOST_JOINED) break;
      const actor = incidents.actor(id);
      try {
        joined.set(id, await actor.join(shared));
        length += actor.weight;
      } catch (error) {
        if (!(error instanceof RecorderError)) throw error;
        joined.set(id, error);
      }
    }
    return joined;
  }

  /** The incident on record that a report belongs to by its `dedup_key`, or by the values that it repeats. */
  #onRecord({ report, origin }: Item, current: CurrentReads): string | undefined {
    const { dedup_key: key, class: ofClass, source } = report;
    const { repeat } = origin;
    if (key !== undefined) return current.unresolved(key, ofClass, source, origin.owner);
    const rule = this.#parts.policy().rules[ofClass];
    if (repeat === undefined || rule.repeat === undefined) return undefined;
    const repeated = current.repeated(repeat);
    const isInTime = repeated !== undefined && this.#parts.reports.now() - repeated.time <= rule.repeat.within;
    return isInTime ? repeated.incident : undefined;
  }

  #decide(item: Item, ahead: Ahead): Decided {
    const { origin, idempotency } = item;
    const replayed = origin.request && idempotency && this.#replayed(item, origin.request, idempotency, ahead);
    if (replayed !== undefined) return replayed;
    this.#requireQuota(item, ahead);
    const target = this.#target(item, ahead);
    const recurred = target === undefined ? undefined : this.#recur(target, item, ahead);
    return recurred ?? this.#foldOrOpen(item, ahead);
  }

  /** What was reported under the same key before, on record or in this batch. */
  #replayed(item: Item, request: RequestTag, idempotency: Idempotency, ahead: Ahead): Decided | undefined {
    const { early, projections } = this.#parts;
    const before = ahead.requests.get(request.id);
    if (before !== undefined) {
      if (before.digest !== request.digest) throw mismatch();
      ahead.show(ahead.lengths.get(before.id) ?? 0);
      return { id: before.id, version: ahead.versions.get(before.id)!, change: 'replayed' };
    }
    const index = early?.();
    if (index !== undefined) {
      if (index.isNewRequest(request, idempotency)) return undefined;
      throw this.#notYet('whether this Idempotency-Key was used');
    }
    const current = projections.current();
    const earlier = current.reportedBy(request, item.report.source, idempotency, item.origin.owner);
    if (earlier === undefined) return undefined;
    if (!earlier.isSame) throw mismatch();
    const version = ahead.versions.get(earlier.id);
    if (version !== undefined) {
      ahead.show(ahead.lengths.get(earlier.id) ?? 0);
      return { id: earlier.id, version, change: 'replayed' };
    }
    const incident = found(current.document(earlier.id));
    ahead.show(incident.json.length);
    return { id: earlier.id, version: incident.version, change: 'replayed', incident };
  }

  /** @throws RecorderError `quota_exceeded` */
  #requireQuota({ report: { source }, bytes }: Item, ahead: Ahead): void {
    const { policy, projections, quota } = this.#parts;
    const { report_bytes_per_day: perDay } = policy();
    if (perDay === undefined) return;
    const current = projections.current();
    const excess = quota.count(source, bytes, perDay, current);
    if (excess === undefined) return;
    const reason = `the source has reported more than ${perDay} bytes today`;
    if (excess.isFirst) this.#alert(newestOf(source, current, ahead), `${reason}; it is refused`, ahead);
    throw new RecorderError('quota_exceeded', reason, { fields: { retry_after: excess.retryAfter } });
  }

  #alert(id: string | undefined, reason: string, ahead: Ahead): void {
    const { incidents } = this.#parts;
    if (id === undefined) return;
    // One that could not join can't be proved now, or has just been opened by somebody else.
    const takesPart = ahead.versions.has(id) || isRecord(ahead.joined.get(id));
    if (takesPart) this.#note(id, incidents.actor(id).decideWith(ahead.shared, { type: 'alert', reason }), ahead);
  }

  /** The incident that a report is folded into by its key or its values. */
  #target(item: Item, ahead: Ahead): string | undefined {
    const { report, origin, fold: key } = item;
    if (key === undefined) return undefined;
    const known = ahead.folds.get(key);
    if (known !== undefined) return known;
    const early = this.#parts.early?.();
    if (early === undefined) return this.#onRecord(item, this.#parts.projections.current());
    const isNew =
      report.dedup_key === undefined ? early.isNewRepeat(origin.repeat!) : early.isNewDedupKey(report, origin.owner);
    if (isNew) return undefined;
    throw this.#notYet(
      report.dedup_key === undefined
        ? 'whether this report repeats another'
        : 'whether there is an incident with this dedup_key',
    );
  }

  #foldOrOpen(item: Item, ahead: Ahead): Decided {
    const { policy, bursts, projections } = this.#parts;
    const { burst } = policy();
    if (burst !== undefined) {
      const newest = ahead.newest.get(item.kindKey)?.id;
      const folded = bursts.count(item.kind, burst, projections.current(), newest);
      const recurred = folded && this.#recur(folded.incident, item, ahead, folded.burst);
      if (recurred !== undefined) return recurred;
    }
    return this.#open(item, ahead);
  }

  #open({ report, origin, bytes, fold: key, kind, kindKey }: Item, ahead: Ahead): Decided {
    const { id, drafts } = this.#parts.draft(report, origin);
    this.#parts.incidents.actor(id).openWith(ahead.shared, drafts);
    ahead.newest.set(kindKey, { kind, id });
    if (key !== undefined) ahead.folds.set(key, id);
    if (origin.request !== undefined) ahead.requests.set(origin.request.id, { digest: origin.request.digest, id });
    ahead.lengths.set(id, bytes);
    return { id, version: this.#note(id, drafts, ahead), change: 'created' };
  }

  /**
   * Adds an occurrence; undefined when the incident was resolved or archived in the meantime, or can't be proved now, or
   * is not held by this batch.
   */
  #recur(id: string, item: Item, ahead: Ahead, burst?: 'begun' | 'continued'): Decided | undefined {
    const { incidents, policy } = this.#parts;
    const { report, origin, bytes, fold: key } = item;
    const joined = ahead.joined.get(id);
    if (joined === undefined && !ahead.versions.has(id)) {
      // A burst may have another newest incident since the actors have joined.
      if (burst !== undefined) return undefined;
      throw tooMuch();
    }
    if (joined instanceof RecorderError) {
      if (isOfIncident(joined)) return undefined;
      throw joined;
    }
    const { rules, attention_after: attentionAfter } = policy();
    const rule = rules[report.class];
    const { request, repeat, caller } = origin;
    const actor = incidents.actor(id);
    const length = (ahead.lengths.get(id) ?? actor.weight) + bytes;
    ahead.show(length);
    try {
      const drafts = actor.decideWith(
        ahead.shared,
        { type: 'recur', report, rule, attentionAfter, request, repeat, burst },
        { caller },
      );
      ahead.lengths.set(id, length);
      // Only what repeats others is found again by its values; a `dedup_key` belongs to the incident that it opened.
      if (key !== undefined && (report.dedup_key === undefined || burst === undefined)) ahead.folds.set(key, id);
      if (request !== undefined) ahead.requests.set(request.id, { digest: request.digest, id });
      return { id, version: this.#note(id, drafts, ahead), change: 'recurred' };
    } catch (error) {
      if (error instanceof RecorderError && error.code === 'illegal_transition') return undefined;
      throw error;
    }
  }

  /** Notes the version of an incident after entries that were added. */
  #note(id: string, drafts: readonly IncidentDraft[], ahead: Ahead): number {
    const version = drafts.at(-1)?.data.version ?? ahead.versions.get(id) ?? 0;
    ahead.versions.set(id, version);
    return version;
  }

  /** The outcomes, with each incident as its report has left it. */
  #shown(
    decided: readonly (Decided | RecorderError)[],
    entries: readonly StoredEntry[],
    ahead: Ahead,
  ): readonly BatchOutcome[] {
    const { projections } = this.#parts;
    let replay: Replay | undefined;
    return decided.map((one) => {
      if (one instanceof RecorderError) return one;
      const { id, version, change } = one;
      const latest = one.incident ?? projections.latest(id);
      if (latest?.version === version) return { incident: latest, change };
      replay ??= new Replay(entries, ahead.joined);
      return { incident: replay.at(id, version), change };
    });
  }

  #notYet(what: string): RecorderError {
    return new RecorderError('starting', `${this.#parts.projections.reading ?? 'starting'}: ${what} is not known yet`);
  }
}

/** What the incidents of a batch were after each of their entries. */
class Replay {
  readonly #entries = new Map<string, IncidentEntry[]>();
  readonly #before: ReadonlyMap<string, IncidentRecord | RecorderError>;
  /** The latest that was asked for of each incident: versions are asked for in their order. */
  readonly #records = new Map<string, IncidentRecord>();

  constructor(entries: readonly StoredEntry[], before: ReadonlyMap<string, IncidentRecord | RecorderError>) {
    for (const entry of entries) {
      if (!isAboutIncident(entry)) continue;
      const known = this.#entries.get(entry.data.incident);
      if (known === undefined) this.#entries.set(entry.data.incident, [entry]);
      else known.push(entry);
    }
    this.#before = before;
  }

  at(id: string, version: number): IncidentDocument {
    const before = this.#before.get(id);
    let record = this.#records.get(id) ?? (before instanceof RecorderError ? undefined : before);
    for (const entry of this.#entries.get(id) ?? []) {
      const reached = record?.incident.version ?? 0;
      if (reached < entry.data.version && entry.data.version <= version) record = fold(record, entry);
    }
    this.#records.set(id, record!);
    return documentOf(record!);
  }
}

/** An unresolved incident of a source, the newest of its class; undefined when there is none. */
function newestOf(source: string, current: CurrentReads, ahead?: Ahead): string | undefined {
  const opened = [...(ahead?.newest.values() ?? [])].filter(({ kind }) => kind.source === source);
  for (const incidentClass of CLASSES) {
    const newest = newestOfClass(incidentClass, opened) ?? current.newestUnresolved(incidentClass, source);
    if (newest !== undefined) return newest;
  }
  return undefined;
}

const newestOfClass = (
  incidentClass: IncidentClass,
  opened: readonly { readonly kind: ReportKind; readonly id: string }[],
): string | undefined => opened.findLast(({ kind }) => kind.class === incidentClass)?.id;

const isRecord = (joined: IncidentRecord | RecorderError | undefined): boolean =>
  joined !== undefined && !(joined instanceof RecorderError);

/** Whether no report can be recorded now: then none of the batch is. */
const isOfAll = (error: RecorderError): boolean => error.code === 'log_unavailable' && !isOfIncident(error);

const tooMuch = (): RecorderError =>
  new RecorderError('overloaded', 'the incidents of this batch are too long; send this report again');

const mismatch = (): RecorderError =>
  new RecorderError('idempotency_mismatch', 'this Idempotency-Key was used with another report');
