import { type AnyStateMachine, getInitialSnapshot } from 'xstate';

/**
 * The configuration of a machine as JSON, as Stately's editor reads it, with the initial context. Guards and actions are
 * names.
 */
export function configJson(machine: AnyStateMachine): string {
  const { context } = getInitialSnapshot(machine) as { readonly context: unknown };
  return JSON.stringify({ ...machine.config, context }, undefined, 2);
}
