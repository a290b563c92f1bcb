/** Commands on all that a filter selects: one request works many incidents, where the service selects what was chosen. */
import { COMMANDS } from '../../../machines/commands.ts';
import type { BulkAnswer, BulkPreview, BulkResult } from '../../domain/bulk-command.ts';
import type { BulkFilter } from '../filters.ts';
import { NotSent, perform } from '../operator.ts';
import { reasonOf, Refusal } from '../request.ts';
import type { CommandAnswer, Doing, Said } from './given-command.ts';

const PATH = '/api/v1/incidents/bulk';
/** How many incidents one request works. */
const AT_A_TIME = 50;

/** What the API can be told to do with many incidents at once. */
const isBulk = (command: Doing): boolean => (COMMANDS as readonly string[]).includes(command);

/**
 * Selects what was chosen.
 * @param count how many incidents were chosen
 * @returns the cursor to begin with; undefined where the filter selects others, or the service does not know how
 */
export const selectBulk = async (
  command: Doing,
  filter: BulkFilter | undefined,
  count: number,
): Promise<string | undefined> => {
  if (filter === undefined || count < 2 || !isBulk(command)) return undefined;
  try {
    const { matched, complete, snapshot } = await perform<BulkPreview>(PATH, { command, filter, preview: true });
    return complete && matched === count ? snapshot : undefined;
  } catch (error) {
    if (error instanceof NotSent) throw error;
    return undefined;
  }
};

/**
 * Gives the command to all that the filter selects, until they are done, `stop` aborts or the service does not answer.
 * @param cursor from `selectBulk`, or from where an earlier call ended
 * @param onAnswer is called with the answer of each incident
 * @returns from where to resume, and why it ended; undefined when all were worked
 * @throws NotSent
 */
export const sendBulk = async (
  command: Doing,
  filter: BulkFilter,
  cursor: string,
  { note, resolution }: Said,
  onAnswer: (id: string, answer: CommandAnswer) => void,
  stop: AbortSignal,
): Promise<{ readonly cursor: string; readonly reason?: string } | undefined> => {
  const body = {
    command,
    filter,
    limit: AT_A_TIME,
    ...(note.trim() !== '' && { note: note.trim() }),
    ...(resolution !== undefined && { resolution }),
  };
  let place = cursor;
  while (!stop.aborted) {
    let answer: BulkAnswer;
    try {
      answer = await perform<BulkAnswer>(PATH, { ...body, cursor: place });
    } catch (error) {
      if (error instanceof NotSent) throw error;
      const next = error instanceof Refusal ? error.fields['cursor'] : undefined;
      return { cursor: typeof next === 'string' ? next : place, reason: reasonOf(error) };
    }
    for (const result of answer.results) onAnswer(result.id, answerFrom(result));
    if (answer.done || answer.cursor === undefined) return undefined;
    place = answer.cursor;
    if (answer.stopped !== undefined) return { cursor: place, reason: answer.stopped.error };
  }
  return { cursor: place };
};

const answerFrom = ({ status, error = `the service answered ${status}`, missing }: BulkResult): CommandAnswer => {
  if (status === 200) return { kind: 'done' };
  return { kind: 'refused', reason: Array.isArray(missing) ? `${error}: ${missing.join(', ')} missing` : error };
};
