/**
 * A command on all incidents that a filter selects: shows which in groups, asks, carries it out a few at a time, and says
 * what was refused. Where it is interrupted, it says how to go on.
 */
import type { Command } from 'commander';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../machines/commands.ts';
import { Refused } from '../client/errors.ts';
import type { BulkAnswer, BulkPreview } from '../domain/bulk-command.ts';
import { ApiClient, type OperatorOptions, withQuery } from './api-client.ts';
import { EXIT, UsageError } from './exit.ts';
import { groupTable, readGroups } from './groups.ts';
import { effectLines, uncertainLines } from './release-preview.ts';
import { canAsk, confirmed } from './terminal/confirm.ts';
import { counted } from './terminal/counted.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { progressBar } from './terminal/progress-bar.ts';

/** What can be done with many incidents. */
export type BulkName = CommandName | 'note' | 'assign' | 'snooze';

export interface BulkOptions extends OperatorOptions {
  /** Whether it is not asked before. */
  readonly yes?: boolean;
  /** The cursor of one that was interrupted. */
  readonly resume?: string;
}

/** What an act is given besides who and why: members of the body, and the options that say the same. */
export interface BulkMore {
  readonly body?: {
    readonly resolution?: string | undefined;
    readonly to?: string | null;
    readonly until?: string | null;
  };
  readonly options?: readonly string[];
}

/** Adds the options of a command that takes filters in the place of identifiers. */
export const withBulk = (command: Command): Command =>
  command
    .option('-y, --yes', 'do not ask')
    .option('--resume <cursor>', 'with the same filters: go on where it was interrupted');

/**
 * Whether filters are given in the place of identifiers.
 * @throws UsageError for both, or neither
 */
export function isByFilter(ids: readonly string[], filters: Filters, { resume }: BulkOptions): boolean {
  const isFiltered = Object.values(filters).some((value) => value !== undefined);
  if (isFiltered === ids.length > 0) throw new UsageError('name incidents, or give filters such as --class; not both');
  if (!isFiltered && resume !== undefined) throw new UsageError('--resume goes with filters');
  return isFiltered;
}

/** Filters as the API takes them. */
export type Filters = Readonly<Record<string, string | readonly string[] | undefined>>;

export const BY_FILTER =
  'With filters in the place of identifiers, those of all that they select, after showing them and asking.';

const BULK = '/api/v1/incidents/bulk';
/** How many groups are shown before it is asked. */
const MOST_SHOWN = 20;
/** How many incidents each request works: few, so that little is left open when it is interrupted. */
const AT_ONCE = 25;
/** The status of an incident whose machine has not answered a fleet yet. */
const WAITS = 202;

/** @throws Refused, NotReachable, UsageError */
export async function bulkCommand(
  name: BulkName,
  filters: Filters,
  { by, note, yes = false, resume, ...options }: BulkOptions,
  { body: more = {}, options: own = [] }: BulkMore = {},
): Promise<void> {
  const api = new ApiClient(options);
  const given = Object.entries(filters).filter(([, value]) => value !== undefined);
  const body = { command: name, filter: { ...Object.fromEntries(given), ...api.scope }, by, note, ...more };
  const preview = await api.commandAll<BulkPreview>(BULK, {
    ...body,
    preview: true,
    ...(resume !== undefined && { cursor: resume }),
  });
  const { matched } = preview;
  if (matched === 0) return writeNotice('no such incidents');
  if (resume === undefined) {
    if (!options.json) await show(api, filters, name, preview);
    if (!yes && isFutile(preview)) {
      process.exitCode = EXIT.refused;
      return writeNotice('nothing would change');
    }
    if (!yes && !canAsk())
      throw new UsageError(`${name} ${counted(matched, 'incident')}? Nobody can be asked here: say --yes`);
    if (!yes && !(await confirmed(`${name} ${preview.allowed} of ${counted(matched, 'incident')}?`))) {
      process.exitCode = EXIT.refused;
      return writeNotice('nothing was done');
    }
  }
  const who = [...(by === undefined ? [] : ['--by', by]), ...(note === undefined ? [] : ['--note', note])];
  const of = (options.machine ?? []).flatMap((one) => ['--machine', one]);
  const labels = (options.label ?? []).flatMap((one) => ['--label', one]);
  const command = commandLineOf(subcommandOf(name), filters, [...own, ...who, ...of, ...labels]);
  await work(
    api,
    { ...body, limit: AT_ONCE },
    { start: resume ?? preview.snapshot, matched, json: options.json, command },
  );
}

/** What the filters select, and what would become of it. */
async function show(api: ApiClient, filters: Filters, name: BulkName, preview: BulkPreview): Promise<void> {
  const { matched, allowed, unchanged, refused, judged, actions, missing = {}, machines = {} } = preview;
  const path = withQuery('/api/v1/incidents/groups', { ...filters, limit: String(MOST_SHOWN) });
  const { groups, total } = await readGroups(api, path);
  await writeLines(groupTable(groups));
  if (total > groups.length) writeNotice(`and ${counted(total - groups.length, 'more group')}`);
  const refusing = Object.entries(refused).map(([state, count]) => `${count} ${state}`);
  const parts = [
    `${allowed} would change`,
    ...(unchanged > 0 ? [`${unchanged} are there already`] : []),
    ...(refusing.length > 0 ? [`refused: ${refusing.join(', ')}`] : []),
  ];
  const among = judged === undefined ? '' : `; of the first ${judged}`;
  const on = Object.entries(machines).map(([machine, count]) => `${count} on ${machine}`);
  if (on.length > 0) writeNotice(`${on.slice(0, MOST_SHOWN).join(', ')}${on.length > MOST_SHOWN ? ', …' : ''}`);
  for (const line of uncertainLines(preview.uncertain)) writeNotice(line);
  writeNotice(`${counted(matched, 'incident')}${among}: ${parts.join(', ')}`);
  if (name !== 'resolve') return;
  for (const [step, count] of Object.entries(missing)) {
    writeNotice(`${count} can't be resolved yet: the recovery needs ${step}`);
  }
  if (allowed === 0) return;
  const lines = actions === undefined ? ['what this releases is not known'] : effectLines(actions, allowed);
  for (const line of lines) writeNotice(line);
}

/** Whether all were asked and all refuse. */
const isFutile = ({ allowed, unchanged, judged }: BulkPreview): boolean =>
  judged === undefined && allowed + unchanged === 0;

interface Work {
  /** The cursor to begin with. */
  readonly start: string;
  readonly matched: number;
  readonly json: true | undefined;
  /** The command line to go on with, without its cursor. */
  readonly command: string;
}

async function work(api: ApiClient, body: object, { start, matched, json, command }: Work): Promise<void> {
  const counts = { moved: 0, unchanged: 0, refused: 0, pending: 0 };
  const interrupted = new AbortController();
  // A second one ends the process.
  process.once('SIGINT', () => interrupted.abort());
  const bar = progressBar(matched);
  let cursor: string | undefined = start;
  let act: string | undefined;
  try {
    while (cursor !== undefined && !interrupted.signal.aborted) {
      const answer: BulkAnswer = await api.commandAll<BulkAnswer>(BULK, { ...body, cursor });
      bar.end();
      act = answer.act;
      for (const { id, status, error, change, ...rest } of answer.results) {
        const outcome = status === 200 ? 'done' : status === WAITS ? 'pending' : 'refused';
        counts[outcome === 'done' ? (change ?? 'moved') : outcome] += 1;
        if (json) await writeJson({ id, outcome, status, change, error, ...rest });
        else if (outcome === 'refused') writeNotice(`${id}: ${String(error)}`);
      }
      ({ cursor } = answer);
      if (answer.stopped !== undefined) throw new Refused(answer.stopped.status, { error: answer.stopped.error });
      bar.show(counts.moved + counts.unchanged + counts.refused + counts.pending);
    }
  } finally {
    bar.end();
    const { moved, unchanged, refused, pending } = counts;
    if (refused + pending > 0) process.exitCode = EXIT.refused;
    const waits = pending === 0 ? '' : `, ${pending} not answered yet: incident-recorder fleet act ${act} shows them`;
    if (!json) await writeLines([`${moved} changed, ${unchanged} were there already, ${refused} refused${waits}`]);
    if (cursor !== undefined) {
      process.exitCode = EXIT.refused;
      writeNotice(`it is not done; go on with: ${command} --resume ${cursor}`);
    }
  }
}

const OPTION_OF: Readonly<Record<string, string>> = { q: 'search' };

/** The filters that are options without a value. */
const FLAGS: ReadonlySet<string> = new Set(['attention', 'silenced', 'snoozed']);

const isCommand = (name: BulkName): name is CommandName => (COMMANDS as readonly string[]).includes(name);

const subcommandOf = (name: BulkName): string => (isCommand(name) ? COMMAND_TABLE[name].subcommand : name);

/**
 * The command line with filters as they were understood: what is said as "2h" is another time later. It says the same about
 * who wants it and why.
 * @param more further options and their values
 */
const commandLineOf = (subcommand: string, filters: Filters, more: readonly string[]): string =>
  [
    'incident-recorder',
    subcommand,
    ...Object.entries(filters).flatMap(([name, value]) => {
      if (FLAGS.has(name) && value !== undefined) return [value === 'false' ? `--no-${name}` : `--${name}`];
      const values = [value ?? []].flat();
      return values.length === 0 ? [] : [`--${OPTION_OF[name] ?? name.replaceAll('_', '-')}`, ...values.map(quoted)];
    }),
    ...more.map(quoted),
  ].join(' ');

const quoted = (text: string): string => (/^[\w:.@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
