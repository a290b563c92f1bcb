/** A command that an operator gives to one or several incidents, and the answer for each. */
import { signal } from '@preact/signals';
import { COMMAND_TABLE, type CommandName } from '../../../machines/commands.ts';
import type { Resolution, Role } from '../../../machines/vocabulary.ts';
import type { BulkFilter } from '../filters.ts';
import { NotSent, perform } from '../operator.ts';
import { reasonOf, Refusal } from '../request.ts';
import type { IncidentRow } from './incident-row.ts';

/** What can be done with incidents. */
export type Doing = CommandName | 'note' | 'assign' | 'snooze' | 'reopen';

interface DoingRow {
  /** As a button says it, and in the past. */
  readonly label: string;
  readonly done: string;
  readonly roles: readonly Role[];
  /** What the note should say. */
  readonly note: string;
  /** `primary` is safe and usual, `grave` takes something away. */
  readonly button: 'primary' | 'grave' | '';
}

const WORKERS: readonly Role[] = ['operator', 'recovery'];

export const DOINGS: Readonly<Record<Doing, DoingRow>> = {
  acknowledge: { label: 'Acknowledge', done: 'Acknowledged', button: 'primary', ...ofTable('acknowledge') },
  contain: { label: 'Contain', done: 'Contained', button: '', ...ofTable('contain') },
  note: { label: 'Note', done: 'Noted for', roles: WORKERS, note: 'What is known', button: 'primary' },
  assign: { label: 'Assign', done: 'Assigned', roles: WORKERS, note: 'Why', button: 'primary' },
  snooze: { label: 'Snooze', done: 'Snoozed', roles: ['operator'], note: 'What is waited for', button: 'primary' },
  resolve: { label: 'Resolve', done: 'Resolved', button: 'grave', ...ofTable('resolve') },
  reopen: { label: 'Reopen', done: 'Reopened', roles: ['operator'], note: 'Why it is not over', button: 'primary' },
};

function ofTable(command: CommandName): Pick<DoingRow, 'roles' | 'note'> {
  const { roles, note } = COMMAND_TABLE[command];
  return { roles, note };
}

export interface GivenCommand {
  readonly command: Doing;
  readonly ids: readonly string[];
  /** What the list knows of them. */
  readonly rows?: readonly IncidentRow[];
  /** The filter that chose them, in words. */
  readonly chosenBy?: string;
  /** The same as the API takes it: they are worked by one command if it selects no others. */
  readonly filter?: BulkFilter | undefined;
}

/** Identifies a command: the dialog of another one begins without answers. */
export const keyOf = ({ command, ids }: GivenCommand): string => `${command} ${ids.join()}`;

/** The command that the dialog shows; undefined when there is none. */
export const givenCommand = signal<GivenCommand | undefined>(undefined);

/** Asks for what a command needs, and gives it. */
export const give = (given: GivenCommand): void => {
  givenCommand.value = given;
};

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
  /** With `assign`: to whom; null for nobody. */
  readonly to?: string | null;
  /** With `snooze`: until when (RFC 3339); null ends it. */
  readonly until?: string | null;
}

/**
 * Gives the command to each incident. Ends early when `stop` aborts or the service does not answer, and when nobody
 * enters the token: the rest is not sent then.
 * @param onAnswer is called with each answer
 */
export const sendCommand = async (
  { command, ids }: Pick<GivenCommand, 'command' | 'ids'>,
  { note, ...said }: Said,
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
          ...JSON.parse(JSON.stringify(said)),
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

/** Takes back what the chart allows to be taken back; undefined for the rest. */
export const takeBack = ({ command, rows = [], ids }: GivenCommand): (() => Promise<unknown>) | undefined => {
  const each = (send: (id: string, row: IncidentRow | undefined) => Promise<unknown>) => (): Promise<unknown> =>
    Promise.all(
      ids.map((id) =>
        send(
          id,
          rows.find((row) => row.id === id),
        ),
      ),
    ).catch(() => {});
  if (command === 'assign') {
    return each((id, row) => perform('/api/v1/incidents/assign', { id, to: row?.assignee ?? null }));
  }
  if (command !== 'snooze') return undefined;
  return each((id, row) => {
    if (row?.snoozed_until !== undefined) return perform('/api/v1/incidents/snooze', { id, until: row.snoozed_until });
    // What was acknowledged before stays so; a snooze that is taken back opens what was open.
    if (row?.state === 'acknowledged') return perform('/api/v1/incidents/acknowledge', { id });
    return perform('/api/v1/incidents/snooze', { id, until: null });
  });
};
