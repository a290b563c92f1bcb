/**
 * The live incidents: one XState actor each.
 *
 * An actor takes its event when the entry that tells of it is on disk, and carries out the containment actions of its
 * chart by handing them to `carryOut`. Actors are a cache: an incident has none until it is asked for, at most `limit`
 * are alive, the one that was used longest ago is stopped first, finished ones are stopped at once, and whoever has none
 * is woken from its record. Waking does not carry out anything anew.
 */
import { type Actor, type ActorOptions, createActor } from 'xstate';
import { type Intent, snapshotOf } from '../../machines/decision.ts';
import { type ActionParams, incidentMachine } from '../../machines/incident.ts';
import { ACTIONS, type ContainmentAction } from '../../machines/vocabulary.ts';
import type { Entry } from '../audit/entry.ts';
import { eventOf, foldEntry, type IncidentRecord } from '../domain/incident.ts';

/** An action that an incident asks for. */
export interface IncidentIntent extends Intent {
  /** Identifier of the incident. */
  readonly incident: string;
}

type IncidentActor = Actor<typeof incidentMachine>;

/** Is told what actors do. */
export type Inspect = NonNullable<ActorOptions<typeof incidentMachine>['inspect']>;

export class IncidentActors {
  readonly #machine: typeof incidentMachine;
  readonly #limit: number;
  readonly #inspect: Inspect | undefined;
  readonly #carryOut: (intent: IncidentIntent) => void;
  /** In the order of their last use. */
  readonly #alive = new Map<string, IncidentActor>();

  /**
   * @param limit how many may be alive, at least 1
   * @param inspect is told all that the actors do
   */
  constructor(limit: number, carryOut: (intent: IncidentIntent) => void, inspect?: Inspect) {
    this.#limit = limit;
    this.#carryOut = carryOut;
    this.#inspect = inspect;
    // An actor's id is that of its incident.
    const implementation =
      (action: ContainmentAction) =>
      ({ self }: { readonly self: { readonly id: string } }, { directive }: ActionParams) =>
        carryOut({ incident: self.id, action, directive });
    this.#machine = incidentMachine.provide({
      actions: Object.fromEntries(ACTIONS.map((action) => [action, implementation(action)])),
    });
  }

  get alive(): number {
    return this.#alive.size;
  }

  /**
   * Carries out what the chart has asked for at the beginning of an incident, of which `entries` tell that are on disk.
   * Its actor can wait, unless somebody watches: most incidents are left alone for longer than an unused one is kept.
   */
  begin(id: string, intents: readonly Intent[], [reported, ...later]: readonly Entry[]): void {
    for (const { action, directive } of intents) this.#carryOut({ incident: id, action, directive });
    if (this.#inspect !== undefined && reported !== undefined) this.follow(foldEntry(undefined, reported), later);
  }

  /**
   * Lets an incident's actor take what entries say that are on disk; `before` is what the incident was before them.
   * Actors wake for that.
   */
  follow(before: IncidentRecord, entries: readonly Entry[]): void {
    const actor = this.#awake(before);
    let record = before;
    for (const entry of entries) {
      const event = eventOf(record, entry);
      if (event !== undefined) actor.send(event);
      record = foldEntry(record, entry);
    }
    if (actor.getSnapshot().status === 'done') this.#alive.delete(before.incident.id);
  }

  stop(): void {
    for (const actor of this.#alive.values()) actor.stop();
    this.#alive.clear();
  }

  #awake({ incident: { id, state }, context }: IncidentRecord): IncidentActor {
    const options = this.#inspect === undefined ? { id } : { id, inspect: this.#inspect };
    const actor =
      this.#alive.get(id) ?? createActor(this.#machine, { ...options, snapshot: snapshotOf(state, context) });
    this.#keep(id, actor);
    return actor;
  }

  #keep(id: string, actor: IncidentActor): void {
    this.#alive.delete(id);
    this.#alive.set(id, actor);
    actor.start();
    for (const [oldest, unused] of this.#alive) {
      if (this.#alive.size <= this.#limit) break;
      unused.stop();
      this.#alive.delete(oldest);
    }
  }
}
