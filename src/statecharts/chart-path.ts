import {
  type Actor,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyTransitionDefinition,
  createActor,
  type EventObject,
  getStateNodes,
} from 'xstate';
import { stateId, transitionIds } from './chart.ts';
import type { Whereabouts } from './svg.ts';

/** A path through a machine, event by event. It executes none of the machine's actions. */
export class ChartPath {
  readonly #machine: AnyStateMachine;
  readonly #ids: ReadonlyMap<AnyTransitionDefinition, string>;
  readonly #actor: Actor<AnyStateMachine>;
  readonly #taken = new Set<string>();

  /** Begins in the initial state for this input, or in a later one. */
  constructor(machine: AnyStateMachine, input: unknown, snapshot?: AnyMachineSnapshot) {
    this.#machine = machine;
    this.#ids = transitionIds(machine);
    this.#actor = createActor(machine, {
      input,
      ...(snapshot && { snapshot }),
      inspect: (step) => {
        if (step.type !== '@xstate.microstep') return;
        for (const id of this.#idsOf(step._transitions)) this.#taken.add(id);
      },
    }).start();
  }

  /** Takes an event. One that the machine does not allow changes nothing. */
  take(event: EventObject): void {
    this.#actor.send(event);
  }

  get whereabouts(): Whereabouts {
    const snapshot = this.#actor.getSnapshot() as AnyMachineSnapshot;
    const possible = this.#machine.events.flatMap((type) =>
      this.#idsOf(this.#machine.getTransitionData(snapshot, { type })),
    );
    const current = getStateNodes(this.#machine.root, snapshot.value)
      .map(stateId)
      .filter((id) => id !== '');
    return { current: new Set(current), taken: this.#taken, possible: new Set(possible) };
  }

  #idsOf(definitions: readonly AnyTransitionDefinition[]): readonly string[] {
    return definitions.flatMap((definition) => this.#ids.get(definition) ?? []);
  }
}
