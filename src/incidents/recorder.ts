/**
 * The recorder: takes reports and commands and routes them to the incidents' actors.
 *
 * A report opens an incident, is an occurrence of an unresolved one (with the same `dedup_key`, with the same values, or
 * in a burst), or was recorded before under its idempotency key. Reports that share a key are handled one after the other, because each has to see what the
 * one before it left.
 */
import type { CommandName } from '../../machines/decision.ts';
import {
  type Channel,
  CLASSES,
  type ContainmentAction,
  type Directive,
  type IncidentClass,
  type Resolution,
  type Role,
  type Rule,
} from '../../machines/vocabulary.ts';
import { type Clock, timestamp } from '../clock.ts';
import { type Caller, keysOwner } from '../domain/caller.ts';
import { type Entry, type Idempotency, type IncidentDraft, isAboutIncident, type Report } from '../domain/entries.ts';
import { decideReport } from '../domain/decide-incident.ts';
import type { IncidentRecord } from '../domain/incident.ts';
import { type ClaimedIncident, importIncident } from '../domain/predecessor.ts';
import { mixesScripts } from '../domain/source-name.ts';
import { found, RecorderError } from '../errors.ts';
import { inKeptOrder } from '../json/canonical-form.ts';
import { documentOf, type IncidentDocument } from '../domain/document.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import type { EarlyIndex } from '../projections/early-index.ts';
import { isOfIncident } from '../projections/incident-proof.ts';
import type { Projections } from '../projections/projections.ts';
import type { Burst, PolicyContent } from '../policy/policy.ts';
import type { ActorRegistry } from './actor-registry.ts';
import { Bursts } from './bursts.ts';
import { incidentId } from './incident-id.ts';
import { KeyedLock } from './keyed-lock.ts';
import { KnownSources } from './known-sources.ts';
import type { RepeatKeys } from './repeat-key.ts';
import type { Origin, Recorded } from './recorded.ts';
import { type BatchedReport, type BatchOutcome, ReportBatches } from './report-batch.ts';
import type { ReportCounter } from './report-counter.ts';
import { ReportQuota } from './report-quota.ts';
import type { RequestTags } from './request-tag.ts';

/** A person's command on an incident. */
export interface Command {
  readonly id: string;
  readonly note?: string;
  /** With `resolve`: what the incident was. */
  readonly resolution?: Resolution;
  /** Who gives it. */
  readonly caller?: Caller;
  /** All their roles; only the caller's when not given. */
  readonly roles?: readonly Role[];
}

/** What a drill rehearses. */
export interface Rehearsal {
  readonly class: IncidentClass;
  /** Who asks for it, and why. */
  readonly caller?: Caller | undefined;
  readonly note?: string | undefined;
  /** The actions that are asked for; the others of the rule are not. */
  readonly asks: (action: ContainmentAction) => boolean;
}

/** The source of drills. */
const DRILL = 'drill';

/** A person's early release of one action of an incident. */
export interface EarlyRelease {
  readonly id: string;
  readonly action: ContainmentAction;
  readonly reason: string;
  /** Who gives it. */
  readonly caller?: Caller;
  /** All their roles; only the caller's when not given. */
  readonly roles?: readonly Role[];
}

/** How many incidents of another recorder were taken over, and how many were on record. */
export interface Imported {
  readonly imported: number;
  readonly skipped: number;
}

export interface RecorderDependencies {
  readonly incidents: ActorRegistry;
  readonly projections: Pick<Projections, 'current' | 'latest' | 'incidents' | 'reading'>;
  /** What to decide by until the projections are made; undefined when they are. */
  readonly early?: () => EarlyIndex | undefined;
  /** The policy that is in force. */
  readonly policy: () => Pick<PolicyContent, 'rules' | 'attention_after' | 'burst' | 'report_bytes_per_day'>;
  readonly tags: RequestTags;
  readonly repeats: RepeatKeys;
  readonly reports: Pick<ReportCounter, 'count' | 'now'>;
  readonly channelOf: (action: ContainmentAction, directive: Directive) => Channel;
  readonly clock: Clock;
  /** Whether the clock has jumped a short time ago. */
  readonly isClockUncertain?: () => boolean;
  /** Random bytes, from a source that can't be guessed. */
  readonly random: (bytes: number) => Buffer;
}

export class Recorder {
  readonly #dependencies: RecorderDependencies;
  readonly #keys = new KeyedLock();
  readonly #known = new KnownSources();
  readonly #bursts: Bursts;
  readonly #quota: ReportQuota;
  readonly #bareRules = new WeakMap<Rule, Rule>();
  readonly #batches: ReportBatches;

  constructor(dependencies: RecorderDependencies) {
    this.#dependencies = dependencies;
    this.#bursts = new Bursts(dependencies.clock);
    this.#quota = new ReportQuota(dependencies.clock);
    this.#batches = new ReportBatches({
      ...dependencies,
      keys: this.#keys,
      bursts: this.#bursts,
      quota: this.#quota,
      draft: (report, origin) => this.#draft(report, origin),
    });
  }

  /**
   * Records a report: opens an incident, or adds to one. That is the unresolved one with the same `dedup_key`, class and
   * source, or the one whose report it repeats, or in a burst the newest one of its class and source. Under an
   * idempotency key that its source used before, it only gives the incident of that time. What another principal has
   * reported never counts.
   * @param bytes how long the request's body is
   * @param caller who reports
   * @throws RecorderError `idempotency_mismatch`, `quota_exceeded` (with `retry_after` in seconds), `log_unavailable`,
   *   `overloaded`, `too_large`, `stopping`
   */
  report(report: Report, idempotency?: Idempotency, bytes = 0, caller?: Caller): Promise<Recorded> {
    const owner = keysOwner(caller?.principal);
    if (idempotency === undefined) return this.#recordOnce(report, bytes, { request: undefined, caller, owner });
    const request = this.#dependencies.tags.of(report.source, idempotency, owner);
    const origin = { request, caller, owner };
    return this.#keys.run(`key ${request.id}`, async () => {
      const early = this.#early();
      if (early !== undefined) {
        if (!early.isNewRequest(request, idempotency)) throw this.#notYet('whether this Idempotency-Key was used');
        return this.#recordOnce(report, bytes, origin);
      }
      const current = this.#dependencies.projections.current();
      const earlier = current.reportedBy(request, report.source, idempotency, owner);
      if (earlier === undefined) return this.#recordOnce(report, bytes, origin);
      if (!earlier.isSame) {
        throw new RecorderError('idempotency_mismatch', 'this Idempotency-Key was used with another report');
      }
      return { incident: found(current.document(earlier.id)), change: 'replayed' };
    });
  }

  /**
   * Records many reports with one append, each as `report` does, in their order: a later one sees what those before it
   * have left.
   * @returns what became of each: recorded, or the error with which `report` refuses it
   * @throws RecorderError `log_unavailable`, `overloaded`, `too_large`, `stopping` when the append is refused: nothing is
   *   recorded then
   */
  reportAll(reports: readonly BatchedReport[], caller?: Caller): Promise<readonly BatchOutcome[]> {
    return this.#batches.record(reports, caller);
  }

  /**
   * Carries out a command on an incident.
   * @param ifVersion the version that the incident must have; any when not given
   * @throws RecorderError `not_found`, `illegal_transition` (with `state`, `allowed` and `transitions`), `forbidden` when
   *   the incident asks for another role (with `needs` and `roles`), `stale_version`,
   *   `log_unavailable`, `overloaded`, `too_large`, `stopping`
   */
  async perform(
    command: CommandName,
    { id, note, caller, roles, resolution }: Command,
    ifVersion?: number,
  ): Promise<Recorded> {
    const { change, record } = await this.#dependencies.incidents
      .actor(id)
      .send({ type: command, resolution, roles }, { caller, note, ifVersion });
    return { incident: this.#documentOf(record), change };
  }

  /**
   * Releases one action of an incident early; the incident stays.
   * @param ifVersion the version that the incident must have; any when not given
   * @throws RecorderError `illegal_transition` (with `holds`, what could be released), and like `perform`
   */
  async release({ id, action, reason, caller, roles }: EarlyRelease, ifVersion?: number): Promise<Recorded> {
    const { change, record } = await this.#dependencies.incidents
      .actor(id)
      .send({ type: 'release', action, reason, roles }, { caller, ifVersion });
    return { incident: this.#documentOf(record), change };
  }

  /**
   * Opens a drill: an incident that is marked as one. Its rule is that of its class, without what is not asked, and
   * contains at once.
   * @throws RecorderError like `report`
   */
  async drill({ class: incidentClass, caller, note, asks }: Rehearsal): Promise<IncidentRecord> {
    const { incidents, projections, clock, random, policy, channelOf } = this.#dependencies;
    const current = projections.current();
    const isTaken = (id: string): boolean => incidents.has(id) || current.hasIncident(id);
    const id = incidentId(clock.now(), random, isTaken);
    const { actions, default_severity } = policy().rules[incidentClass];
    const isAsked = (action: ContainmentAction): boolean => action === 'log_alert' || asks(action);
    const rule = { auto_contain: true, actions: actions.filter(isAsked), default_severity };
    const report: Report = {
      class: incidentClass,
      source: DRILL,
      description: note === undefined ? 'A drill.' : `A drill: ${note}`,
      // `quarantine_model` has to name a model.
      evidence: { drill: true, model_name: 'drill' },
    };
    const circumstances = { timestamp: timestamp(clock.now()), channelOf, caller };
    const notAsked = actions.filter((action) => !isAsked(action));
    return incidents.actor(id).open(decideReport(id, report, rule, circumstances, { notAsked }));
  }

  /**
   * Takes incidents of another recorder over, one after the other. One that is on record is left as it is.
   * @throws RecorderError like `report`; those before it are on record then
   */
  import(claimed: readonly ClaimedIncident[], caller?: Caller): Promise<Imported> {
    return this.#keys.run('import', async () => {
      let [imported, skipped] = [0, 0];
      for (const one of claimed) {
        if (await this.#importOne(one, caller)) imported += 1;
        else skipped += 1;
      }
      return { imported, skipped };
    });
  }

  async #importOne(claimed: ClaimedIncident, caller: Caller | undefined): Promise<boolean> {
    const { incidents, projections, clock, policy, channelOf } = this.#dependencies;
    const current = projections.current();
    if (incidents.has(claimed.id) || current.hasIncident(claimed.id)) return false;
    const sourceSuspicious = this.#known.isSuspicious(claimed.source, current);
    const circumstances = { timestamp: timestamp(clock.now()), channelOf, caller, sourceSuspicious };
    const draft = importIncident(claimed, policy().rules[claimed.class], circumstances);
    await incidents.actor(claimed.id).open([draft]);
    return true;
  }

  /**
   * Completes a write of several entries of which a crash has left only the first: `last` is the last entry of the log.
   * @throws RecorderError like `report`
   */
  async complete(last: Entry | undefined): Promise<void> {
    if (last === undefined || !isAboutIncident(last)) return;
    await this.#dependencies.incidents.actor(last.data.incident).complete(last);
  }

  #recordOnce(report: Report, bytes: number, origin: Origin): Promise<Recorded> {
    const { report_bytes_per_day: perDay } = this.#dependencies.policy();
    if (perDay === undefined) return this.#record(report, origin);
    return this.#requireQuota(report, bytes, perDay).then(() => this.#record(report, origin));
  }

  #record(report: Report, origin: Origin): Promise<Recorded> {
    const { dedup_key: key, class: incidentClass, source } = report;
    if (key === undefined) return this.#repeatOrOpen(report, origin);
    const { owner } = origin;
    return this.#keys.run(JSON.stringify(['same', key, incidentClass, source, owner]), async () => {
      const early = this.#early();
      if (early !== undefined) {
        if (!early.isNewDedupKey(report, owner)) throw this.#notYet('whether there is an incident with this dedup_key');
        return this.#foldOrOpen(report, origin);
      }
      const id = this.#dependencies.projections.current().unresolved(key, incidentClass, source, owner);
      const recorded = id === undefined ? undefined : await this.#recur(id, report, origin);
      return recorded ?? this.#foldOrOpen(report, origin);
    });
  }

  /** Takes a report without a `dedup_key`: an occurrence of the incident whose report it repeats, if there is one. */
  #repeatOrOpen(report: Report, origin: Origin): Promise<Recorded> {
    const rule = this.#dependencies.policy().rules[report.class];
    const key = this.#dependencies.repeats.of(report, rule, origin.owner);
    if (key === undefined || rule.repeat === undefined) return this.#foldOrOpen(report, origin);
    const { within } = rule.repeat;
    const repeating = { ...origin, repeat: key };
    return this.#keys.run(`repeat ${key}`, () => {
      const id = this.#repeatedBy(key, within);
      // Most reports repeat nothing, and an async function more costs time.
      if (id === undefined) return this.#foldOrOpen(report, repeating);
      return this.#recur(id, report, repeating).then((recorded) => recorded ?? this.#foldOrOpen(report, repeating));
    });
  }

  /** The unresolved incident of the report with the same values, when that came at most `within` milliseconds ago. */
  #repeatedBy(key: string, within: number): string | undefined {
    const early = this.#early();
    if (early !== undefined) {
      if (!early.isNewRepeat(key)) throw this.#notYet('whether this report repeats another');
      return undefined;
    }
    const repeated = this.#dependencies.projections.current().repeated(key);
    if (repeated === undefined || this.#dependencies.reports.now() - repeated.time > within) return undefined;
    return repeated.incident;
  }

  /** @throws RecorderError `quota_exceeded` */
  async #requireQuota({ source }: Report, bytes: number, perDay: number): Promise<void> {
    const { projections, incidents } = this.#dependencies;
    const current = projections.current();
    const excess = this.#quota.count(source, bytes, perDay, current);
    if (excess === undefined) return;
    const reason = `the source has reported more than ${perDay} bytes today`;
    const newest = excess.isFirst ? newestOf(source, current) : undefined;
    if (newest !== undefined) await incidents.actor(newest).send({ type: 'alert', reason: `${reason}; it is refused` });
    throw new RecorderError('quota_exceeded', reason, { fields: { retry_after: excess.retryAfter } });
  }

  #foldOrOpen(report: Report, origin: Origin): Promise<Recorded> {
    const { burst } = this.#dependencies.policy();
    return burst === undefined ? this.#open(report, origin) : this.#foldIfBurst(report, origin, burst);
  }

  async #foldIfBurst(report: Report, origin: Origin, burst: Burst): Promise<Recorded> {
    const { projections } = this.#dependencies;
    const kind = { class: report.class, source: report.source, owner: origin.owner };
    const fold = this.#bursts.count(kind, burst, projections.current());
    const folded = fold && (await this.#recur(fold.incident, report, origin, fold.burst));
    if (folded !== undefined) return folded;
    const opened = await this.#open(report, origin);
    this.#bursts.opened(kind, opened.incident.id);
    return opened;
  }

  /** No async function: each costs a report as much as the check of its token. */
  #open(report: Report, origin: Origin): Promise<Recorded> {
    try {
      const { id, drafts } = this.#draft(report, origin);
      return this.#dependencies.incidents.actor(id).open(drafts).then(this.#created);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  readonly #created = (record: IncidentRecord): Recorded => ({
    incident: this.#documentOf(record),
    change: 'created',
  });

  /** The entries that open an incident. @throws RecorderError like `report` */
  #draft(report: Report, origin: Origin): { readonly id: string; readonly drafts: readonly IncidentDraft[] } {
    const { incidents, projections, clock, random, policy, channelOf, reports, isClockUncertain } = this.#dependencies;
    const sourceSuspicious = this.#isSuspicious(report.source);
    const isTaken = (id: string): boolean => incidents.has(id) || projections.incidents.has(id);
    const id = incidentId(clock.now(), random, isTaken);
    const circumstances = {
      timestamp: timestamp(clock.now()),
      channelOf,
      counted: reports.count,
      caller: origin.caller,
    };
    const rule = this.#withoutRepeat(policy().rules[report.class]);
    const clockUncertain = isClockUncertain?.() === true;
    const { request, repeat } = origin;
    const what = { request, repeat, sourceSuspicious, clockUncertain };
    return { id, drafts: decideReport(id, report, rule, circumstances, what) };
  }

  /** The rule as the entry of a first report keeps it: it repeats nothing, and each key of an entry costs time. */
  #withoutRepeat(rule: Rule): Rule {
    const known = this.#bareRules.get(rule);
    if (known !== undefined) return known;
    const bare: { -readonly [Key in keyof Rule]: Rule[Key] } = { ...rule };
    delete bare.repeat;
    this.#bareRules.set(rule, inKeptOrder(bare));
    return bare;
  }

  /** Whether a source could be taken for another one. @throws RecorderError `log_unavailable`, `starting` */
  #isSuspicious(source: string): boolean {
    const early = this.#early();
    if (early === undefined) return this.#known.isSuspicious(source, this.#dependencies.projections.current());
    const looksLikeAnother = early.looksLikeAnother(source);
    if (looksLikeAnother === undefined) throw this.#notYet('whether this source could be taken for another');
    const isSuspicious = looksLikeAnother || mixesScripts(source);
    // For reports that come before it is on disk, as `KnownSources` remembers it.
    early.takeSource(source, isSuspicious);
    return isSuspicious;
  }

  #early(): EarlyIndex | undefined {
    return this.#dependencies.early?.();
  }

  #notYet(what: string): RecorderError {
    return new RecorderError(
      'starting',
      `${this.#dependencies.projections.reading ?? 'starting'}: ${what} is not known yet`,
    );
  }

  /**
   * Adds an occurrence; undefined when the incident was resolved or archived in the meantime, or can't be proved now.
   */
  async #recur(
    id: string,
    report: Report,
    origin: Origin,
    burst?: 'begun' | 'continued',
  ): Promise<Recorded | undefined> {
    const { incidents, policy } = this.#dependencies;
    const { rules, attention_after: attentionAfter } = policy();
    const rule = rules[report.class];
    try {
      const { record } = await incidents
        .actor(id)
        .send(
          { type: 'recur', report, rule, attentionAfter, request: origin.request, repeat: origin.repeat, burst },
          { caller: origin.caller },
        );
      return { incident: this.#documentOf(record), change: 'recurred' };
    } catch (error) {
      const isResolved = error instanceof RecorderError && error.code === 'illegal_transition';
      if (isResolved || isOfIncident(error)) return undefined;
      throw error;
    }
  }

  /** The document of a record. Recorded is recorded, also when the projections could not take it. */
  #documentOf(record: IncidentRecord): IncidentDocument {
    const { id, version } = record.incident;
    const latest = this.#dependencies.projections.latest(id);
    return latest?.version === version ? latest : documentOf(record);
  }
}

/** An unresolved incident of a source, the newest of its class; undefined when there is none. */
function newestOf(source: string, current: CurrentReads): string | undefined {
  for (const incidentClass of CLASSES) {
    const newest = current.newestUnresolved(incidentClass, source);
    if (newest !== undefined) return newest;
  }
  return undefined;
}
