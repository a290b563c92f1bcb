/** What a machine can do next: for each event where it leads, or why it is not allowed. */
import type { Role } from './vocabulary.ts';
import { type AnyMachineSnapshot, type AnyStateMachine, getNextTransitions, getStateNodes } from 'xstate';

export type NextTransition = {
  readonly event: string;
  readonly allowed: boolean;
  /** The state that it leads to, with the states around it: `contained.delivering`; null when the state stays. */
  readonly target: string | null;
  /** Why it is not allowed. */
  readonly reason?: string;
  /** What has to be done first, by name, when that is the reason. */
  readonly missing?: readonly string[];
  /** The roles that may send it, one of them, where the incident makes that others than usual. */
  readonly needs?: readonly Role[];
};

/** Every event of the machine in a snapshot of it. Guards see an event without further members. */
export const transitionsFrom = (machine: AnyStateMachine, snapshot: AnyMachineSnapshot): readonly NextTransition[] =>
  machine.events.map((event) => {
    const [enabled] = machine.getTransitionData(snapshot, { type: event });
    if (enabled === undefined)
      return { event, allowed: false, target: null, reason: refusal(machine, snapshot, event) };
    return { event, allowed: true, target: enabled.target?.[0]?.path.join('.') ?? null };
  });

function refusal({ root }: AnyStateMachine, snapshot: AnyMachineSnapshot, event: string): string {
  const state = getStateNodes(root, snapshot.value).at(-1)!.path.join('.');
  if (snapshot.status === 'done') return `${state} is final`;
  const guards = getNextTransitions(snapshot)
    .filter(({ eventType }) => eventType === event)
    .map(({ guard }) => (typeof guard === 'string' ? guard : (guard as { readonly type: string }).type));
  return guards.length === 0 ? `not possible while ${state}` : `guard ${guards.join(', ')} does not hold`;
}
