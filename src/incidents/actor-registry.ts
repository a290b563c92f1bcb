/**
 * The living incidents: one root actor each, found by identifier.
 *
 * An incident has an actor in memory from its report, or from the first message that it gets, until it is among those
 * that were used longest ago or its statechart is at its end. At most `limit` are awake, and together they weigh at most
 * `MAX_WEIGHT`; those with messages in their mailboxes always stay. Each is a root actor of its own, because `spawn` in
 * one parent takes a time that grows with the number of its children.
 *
 * What an actor's chart asks for goes out as a `directive` of `directives`: there is no other way.
 */
import { EventEmitter } from 'node:events';
import { initialTransition } from 'xstate';
import { type Intent, ruleKey } from '../../machines/decision.ts';
import { type ActionParams, incidentMachine } from '../../machines/incident.ts';
import { Memo } from '../../machines/memo.ts';
import { ACTIONS, type ContainmentAction } from '../../machines/vocabulary.ts';
import { type IncidentEntry, isAboutIncident, type StoredEntry } from '../domain/entries.ts';
import { isReport } from '../domain/report-times.ts';
import type { RecordChange, TakenEntry } from '../domain/incident.ts';
import { type ActorDependencies, type Birth, IncidentActor } from './incident-actor.ts';
import { SharedAppend } from './shared-append.ts';

/**
 * How long the records of all living actors may be together, in characters of JSON. Evidence may be large, and takes up to
 * twenty times as much memory once it is parsed. A record that lives longer than the incidents of a burst only costs
 * time: the garbage collector copies it twice and then has to find it again.
 */
const MAX_WEIGHT = 64 * 1024;

/** A containment action that an incident asks for. */
export interface IncidentIntent extends Intent {
  /** Identifier of the incident. */
  readonly incident: string;
}

export interface ActorRegistryDependencies extends Omit<
  ActorDependencies,
  'machine' | 'birth' | 'onRest' | 'onWake' | 'onGrowth'
> {
  /** How many actors may be awake, at least 1. */
  readonly limit: number;
  /** Receives errors that should never happen: an actor does not accept an entry that is on disk. */
  readonly onFault: (error: unknown) => void;
}

export class ActorRegistry {
  /** Emits each containment action that a chart asks for, once the entry that records it is on disk. */
  readonly directives = new EventEmitter<{ readonly directive: [IncidentIntent] }>();
  readonly #dependencies: ActorDependencies;
  readonly #onFault: (error: unknown) => void;
  readonly #limit: number;
  /** Those that are awake or have messages, in the order of their last use. */
  readonly #actors = new Map<string, IncidentActor>();
  #weight = 0;
  #woken = 0;
  #passivated = 0;

  constructor({ limit, onFault, ...dependencies }: ActorRegistryDependencies) {
    this.#limit = limit;
    this.#onFault = onFault;
    // An actor's id is that of its incident.
    const implementation =
      (action: ContainmentAction) =>
      ({ self }: { readonly self: { readonly id: string } }, { directive }: ActionParams) =>
        this.directives.emit('directive', { incident: self.id, action, directive });
    const machine = incidentMachine.provide({
      actions: Object.fromEntries(ACTIONS.map((action) => [action, implementation(action)])),
    });
    const births = new Memo<Birth>();
    this.#dependencies = {
      ...dependencies,
      machine,
      birth: (rule) => births.to(ruleKey(rule), () => initialTransition(machine, rule)),
      onWake: (actor) => this.#wake(actor),
      onGrowth: (by) => (this.#weight += by),
      onRest: (actor) => this.#rest(actor),
    };
  }

  /** The actor of an incident. It wakes when it gets a message, and says then whether the incident is on record. */
  actor(id: string): IncidentActor {
    const known = this.#actors.get(id);
    if (known !== undefined) this.#actors.delete(id);
    const actor = known ?? new IncidentActor(id, this.#dependencies);
    this.#actors.set(id, actor);
    return actor;
  }

  /** Whether an incident has an actor in memory. */
  has(id: string): boolean {
    return this.#actors.has(id);
  }

  /** Sends each entry that has just reached the disk to the actor of its incident. Never throws. */
  take(entries: readonly StoredEntry[]): readonly TakenEntry[] {
    return entries.map((entry) => {
      if (!isAboutIncident(entry)) return { entry };
      if (isReport(entry)) this.#dependencies.reports.taken(entry);
      return { entry, change: this.#takeOne(entry) };
    });
  }

  /** How many are awake, and how many have woken and been put to sleep since the start. */
  get figures(): { readonly alive: number; readonly woken: number; readonly passivated: number } {
    return { alive: this.#alive, woken: this.#woken, passivated: this.#passivated };
  }

  /** How much the records of those that are awake weigh together, in characters of JSON. */
  get weight(): number {
    return this.#weight;
  }

  /** An append in which several actors may take part. Whoever joins several does so in the order of their identifiers. */
  sharedAppend(): SharedAppend {
    return new SharedAppend(this.#dependencies.log);
  }

  /**
   * Runs work while none of these incidents handles a message; messages that arrive meanwhile wait. It waits for the
   * incidents in the order of their identifiers, as everybody does who holds several: so none waits for another.
   */
  exclusively<Result>(ids: readonly string[], work: () => Promise<Result>): Promise<Result> {
    return ids.toSorted().reduceRight((inner, id) => () => this.actor(id).exclusively(inner), work)();
  }

  stop(): void {
    for (const actor of this.#actors.values()) this.#passivate(actor);
  }

  get #alive(): number {
    return this.#woken - this.#passivated;
  }

  #takeOne(entry: IncidentEntry & StoredEntry): RecordChange | undefined {
    const actor = this.#actors.get(entry.data.incident);
    if (actor === undefined || (!actor.isAwake && entry.event !== 'incident.reported')) return undefined;
    try {
      return actor.take(entry);
    } catch (error) {
      this.#onFault(error);
      // The log has the last word: the next message wakes the actor from what the projections make of it.
      this.#passivate(actor);
      return undefined;
    }
  }

  /** Counts an actor in. One that was put to sleep while somebody kept it is found again from here on. */
  #wake(actor: IncidentActor): void {
    const known = this.#actors.get(actor.id);
    if (known !== undefined && known !== actor) throw new Error(`two actors for ${actor.id}`);
    this.#actors.set(actor.id, actor);
    this.#woken += 1;
    this.#weight += actor.weight;
  }

  #rest(actor: IncidentActor): void {
    if (!actor.isAwake || actor.isDone) this.#passivate(actor);
    for (const oldest of this.#actors.values()) {
      if (this.#alive <= this.#limit && this.#weight <= MAX_WEIGHT) break;
      if (oldest.isIdle) this.#passivate(oldest);
    }
  }

  #passivate(actor: IncidentActor): void {
    this.#weight -= actor.weight;
    if (actor.isAwake) this.#passivated += 1;
    actor.passivate();
    if (actor.isIdle) this.#actors.delete(actor.id);
  }
}
