/**
 * Commands on all that a filter selects: one request works many incidents, where the service selects what was chosen. A
 * fleet takes those that were chosen by name, too; there each incident is a command to its machine, which is followed until
 * the machine has answered.
 */
import { COMMANDS } from '../../../machines/commands.ts';
import { SECOND } from '../../clock.ts';
import type { BulkAnswer, BulkPreview, BulkResult } from '../../domain/bulk-command.ts';
import type { BulkFilter } from '../filters.ts';
import { keyOfIncident, nameOfIncident } from '../incident-key.ts';
import { NotSent, perform, read } from '../operator.ts';
import { reasonOf, Refusal } from '../request.ts';
import { isFleet } from '../service.ts';
import type { CommandAnswer, Doing, Said } from './given-command.ts';

const PATH = '/api/v1/incidents/bulk';
/** How many incidents one request works. */
const AT_A_TIME = 50;
/** How many incidents are named: the body of a request has to hold them. */
const MOST_NAMED = 2000;
/** For how long machines are waited for after the last request, and how often they are asked about, in milliseconds. */
const PATIENCE = 60 * SECOND;
const LOOK_EVERY = 2 * SECOND;

/** What is worked: as the API takes it, and the cursor to begin with. */
export interface BulkSelection {
  readonly of: { readonly filter: BulkFilter } | { readonly incidents: readonly object[] };
  readonly cursor: string;
}

/** What the API can be told to do with many incidents at once. */
const isBulk = (command: Doing): boolean =>
  isFleet ? command !== 'reopen' : (COMMANDS as readonly string[]).includes(command);

/** What a command says besides the incidents. */
const wordsOf = ({ note, resolution, to, until }: Said): object => ({
  ...(note.trim() !== '' && { note: note.trim() }),
  ...(resolution !== undefined && { resolution }),
  ...(to !== undefined && { to }),
  ...(until !== undefined && { until }),
});

/**
 * Selects what was chosen.
 * @param ids the keys of the incidents that were chosen
 * @param sent those of them that are not over already
 * @returns undefined where the filter selects others, or the service does not know how
 */
export const selectBulk = async (
  command: Doing,
  filter: BulkFilter | undefined,
  ids: readonly string[],
  sent: readonly string[],
  said: Said,
): Promise<BulkSelection | undefined> => {
  if (ids.length < 2 || !isBulk(command)) return undefined;
  const names = sent.map((key) => nameOfIncident(key));
  const isNamed = isFleet && sent.length <= MOST_NAMED && names.every(({ machine }) => machine !== undefined);
  const ways = [
    ...(filter === undefined ? [] : [{ of: { filter }, count: ids.length }]),
    ...(isNamed ? [{ of: { incidents: names }, count: sent.length }] : []),
  ];
  for (const { of, count } of ways) {
    try {
      const body = { command, ...of, ...wordsOf(said), preview: true };
      const { matched, complete, snapshot } = await perform<BulkPreview>(PATH, body);
      if (complete && matched === count) return { of, cursor: snapshot };
    } catch (error) {
      if (error instanceof NotSent) throw error;
    }
  }
  return undefined;
};

/** A result of a fleet says where. */
type Answered = BulkAnswer & { readonly results: readonly FleetResult[] };
type FleetResult = BulkResult & { readonly machine?: string };

/**
 * Gives the command to all that were selected, until they are done, `stop` aborts or the service does not answer.
 * @param selection from `selectBulk`, or from where an earlier call ended
 * @param onAnswer is called with the answer of each incident
 * @returns from where to resume, and why it ended; undefined when all were worked
 * @throws NotSent
 */
export const sendBulk = async (
  command: Doing,
  { of, cursor }: BulkSelection,
  said: Said,
  onAnswer: (id: string, answer: CommandAnswer) => void,
  stop: AbortSignal,
): Promise<{ readonly cursor: string; readonly reason?: string } | undefined> => {
  const body = { command, ...of, limit: AT_A_TIME, ...wordsOf(said) };
  /** Of which machines have not answered yet. */
  const waiting = new Set<string>();
  let place = cursor;
  while (!stop.aborted) {
    let answer: Answered;
    try {
      answer = await perform<Answered>(PATH, { ...body, cursor: place });
    } catch (error) {
      if (error instanceof NotSent) throw error;
      const next = error instanceof Refusal ? error.fields['cursor'] : undefined;
      return { cursor: typeof next === 'string' ? next : place, reason: reasonOf(error) };
    }
    for (const result of answer.results) {
      const key = keyOfIncident(result.id, result.machine);
      if (result.status === WAITS) waiting.add(key);
      else onAnswer(key, answerFrom(result));
    }
    if (answer.done || answer.cursor === undefined) {
      if (answer.act !== undefined && waiting.size > 0) await follow(answer.act, waiting, onAnswer, stop);
      return undefined;
    }
    place = answer.cursor;
    if (answer.stopped !== undefined) return { cursor: place, reason: answer.stopped.error };
  }
  return { cursor: place };
};

/** The status of an incident whose machine has not answered yet. */
const WAITS = 202;

const answerFrom = ({ status, error = `the service answered ${status}`, missing }: BulkResult): CommandAnswer => {
  if (status === 200) return { kind: 'done' };
  return { kind: 'refused', reason: Array.isArray(missing) ? `${error}: ${missing.join(', ')} missing` : error };
};

/** How far a command on many incidents of a fleet is. */
export interface FleetBulkAct {
  readonly act: string;
  readonly command: string;
  readonly note: string | null;
  readonly by: string;
  readonly at: string;
  readonly count: number;
  readonly left: number;
  /** Whether its client has asked for all of them; an older fleet does not say it. */
  readonly finished?: boolean;
  readonly pending: number;
  readonly done: number;
  readonly refused: number;
  readonly expired: number;
  readonly incidents?: readonly {
    readonly machine: string;
    readonly id: string;
    readonly command: string | null;
    readonly status: 'left' | 'pending' | 'done' | 'refused' | 'expired';
    readonly reason: string | null;
  }[];
}

/** All pages of an act. */
export const readBulkAct = async (act: string, ends: AbortSignal): Promise<FleetBulkAct> => {
  let path: string | undefined = `${PATH}/${encodeURIComponent(act)}?limit=1000`;
  let whole: FleetBulkAct | undefined;
  while (path !== undefined) {
    const page: Awaited<ReturnType<typeof read<FleetBulkAct>>> = await read<FleetBulkAct>(path, ends);
    whole = { ...page.body, incidents: [...(whole?.incidents ?? []), ...(page.body.incidents ?? [])] };
    path = page.next;
  }
  return whole!;
};

/** Waits for the machines of an act. Those that have not answered by then are said to wait. */
const follow = async (
  act: string,
  waiting: Set<string>,
  onAnswer: (id: string, answer: CommandAnswer) => void,
  stop: AbortSignal,
): Promise<void> => {
  const until = Date.now() + PATIENCE;
  while (waiting.size > 0 && !stop.aborted && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    try {
      const { incidents = [] } = await readBulkAct(act, stop);
      for (const { machine, id, status, reason } of incidents) {
        const key = keyOfIncident(id, machine);
        if (status === 'pending' || status === 'left' || !waiting.delete(key)) continue;
        onAnswer(key, status === 'done' ? { kind: 'done' } : { kind: 'refused', reason: reason ?? status });
      }
    } catch {
      // It is asked again, until the time is over.
    }
  }
  for (const key of waiting)
    onAnswer(key, { kind: 'unanswered', reason: `the machine has not answered yet, see ${act} in Commands` });
};
