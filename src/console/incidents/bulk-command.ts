/** A command that an operator is about to give to one or several incidents, and how it went with each. */
import { signal } from '@preact/signals';
import type { CommandName } from '../../../machines/decision.ts';
import { perform } from '../operator.ts';
import { reasonOf, Refusal } from '../request.ts';

export interface Task {
  readonly command: CommandName;
  readonly ids: readonly string[];
}

/** What is about to be done: shown as a dialog. */
export const task = signal<Task | undefined>(undefined);

export const COMMAND_NAMES = ['contain', 'acknowledge', 'resolve'] as const satisfies readonly CommandName[];

/** What the command is called on a button, and when it is done. */
export const COMMAND_WORDS: Readonly<Record<CommandName, readonly [doing: string, done: string]>> = {
  contain: ['Contain', 'Contained'],
  acknowledge: ['Acknowledge', 'Acknowledged'],
  resolve: ['Resolve', 'Resolved'],
};

export type Outcome = { readonly kind: 'done' } | { readonly kind: 'refused'; readonly reason: string };

/** Commands under way at a time: the service syncs those that wait together. */
const AT_A_TIME = 4;

/**
 * Gives the command to each incident, telling how it went with each as it is known. Ends early, with the rest not done,
 * when nobody gives the token or `stop` aborts.
 */
export const carryOut = async (
  { command, ids }: Task,
  note: string,
  tell: (id: string, outcome: Outcome) => void,
  stop: AbortSignal,
): Promise<void> => {
  const rest = [...ids];
  const work = async (): Promise<void> => {
    for (let id = rest.shift(); id !== undefined && !stop.aborted; id = rest.shift()) {
      try {
        await perform(`/api/v1/incidents/${command}`, { id, ...(note.trim() !== '' && { note: note.trim() }) });
        tell(id, { kind: 'done' });
      } catch (error) {
        tell(id, { kind: 'refused', reason: reasonOf(error) });
        if (error instanceof Refusal && error.status === 0) rest.length = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
};
