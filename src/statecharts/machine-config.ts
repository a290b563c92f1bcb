import { type AnyStateMachine, getInitialSnapshot } from 'xstate';

/**
 * The configuration of a machine as JSON, which Stately's editor takes. The context is the one that the machine begins
 * with; guards and actions are named.
 */
export function configJson(machine: AnyStateMachine): string {
  const { context } = getInitialSnapshot(machine) as { readonly context: unknown };
  return JSON.stringify({ ...machine.config, context }, undefined, 2);
}
