/** A command that an operator gives to one or several incidents, and the answer for each. */
import { signal } from '@preact/signals';
import type { CommandName } from '../../../machines/commands.ts';
import type { Resolution } from '../../../machines/vocabulary.ts';
import { NotSent, perform } from '../operator.ts';
import { reasonOf, Refusal } from '../request.ts';

export interface BulkCommand {
  readonly command: CommandName;
  readonly ids: readonly string[];
}

/** Identifies a command: the dialog of another one begins without answers. */
export const keyOf = ({ command, ids }: BulkCommand): string => `${command} ${ids.join()}`;

/** The command that the dialog shows; undefined when there is none. */
export const bulkCommand = signal<BulkCommand | undefined>(undefined);

/** What the service answered for one incident. Without an answer the command may have been carried out or not. */
export type CommandAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unanswered'; readonly reason: string };

/** Requests in flight at a time: the service syncs those that wait together. */
const AT_A_TIME = 4;

/** What the operator says with a command. */
export interface Said {
  /** White space alone is no note. */
  readonly note: string;
  /** With `resolve`: what the incidents were; undefined when that is not said. */
  readonly resolution?: Resolution | undefined;
}

/**
 * Gives the command to each incident. Ends early when `stop` aborts or the service does not answer, and when nobody
 * enters the token: the rest is not sent then.
 * @param onAnswer is called with each answer
 */
export const sendBulkCommand = async (
  { command, ids }: BulkCommand,
  { note, resolution }: Said,
  onAnswer: (id: string, answer: CommandAnswer) => void,
  stop: AbortSignal,
): Promise<void> => {
  const rest = [...ids];
  const work = async (): Promise<void> => {
    for (let id = rest.shift(); id !== undefined && !stop.aborted; id = rest.shift()) {
      try {
        await perform(`/api/v1/incidents/${command}`, {
          id,
          ...(note.trim() !== '' && { note: note.trim() }),
          ...(resolution !== undefined && { resolution }),
        });
        onAnswer(id, { kind: 'done' });
      } catch (error) {
        const isAnswered = error instanceof Refusal && error.status !== 0;
        if (!isAnswered) rest.length = 0;
        if (error instanceof NotSent) continue;
        const reason = isAnswered ? withMissing(error) : reasonOf(error);
        onAnswer(id, { kind: isAnswered ? 'refused' : 'unanswered', reason });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
};

/** A refusal, with what the recovery of the incident still needs. */
const withMissing = ({ message, fields: { missing } }: Refusal): string =>
  Array.isArray(missing) ? `${message}: ${missing.join(', ')} missing` : message;
