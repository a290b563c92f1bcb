/**
 * A command on all incidents that a filter selects: shows which in groups, asks, carries it out a few at a time, and says
 * what was refused. Where it is interrupted, it says how to go on.
 */
import { COMMAND_TABLE, type CommandName } from '../../machines/commands.ts';
import { Refused } from '../client/errors.ts';
import type { BulkAnswer, BulkPreview } from '../domain/bulk-command.ts';
import { ApiClient, type OperatorOptions, withQuery } from './api-client.ts';
import { EXIT, UsageError } from './exit.ts';
import { groupTable, readGroups } from './groups.ts';
import { effectLines } from './release-preview.ts';
import { canAsk, confirmed } from './terminal/confirm.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { progressBar } from './terminal/progress-bar.ts';

export interface BulkOptions extends OperatorOptions {
  readonly resolution?: string;
  /** Whether it is not asked before. */
  readonly yes?: boolean;
  /** The cursor of one that was interrupted. */
  readonly resume?: string;
}

/** Filters as the API takes them. */
export type Filters = Readonly<Record<string, string | readonly string[] | undefined>>;

const BULK = '/api/v1/incidents/bulk';
/** How many groups are shown before it is asked. */
const MOST_SHOWN = 20;
/** How many incidents each request works: few, so that little is left open when it is interrupted. */
const AT_ONCE = 25;

/** @throws Refused, NotReachable, UsageError */
export async function bulkCommand(
  name: CommandName,
  filters: Filters,
  { by, note, resolution, yes = false, resume, ...options }: BulkOptions,
): Promise<void> {
  const api = new ApiClient(options);
  const given = Object.entries(filters).filter(([, value]) => value !== undefined);
  const body = { command: name, filter: Object.fromEntries(given), by, note, resolution };
  const preview = await api.command<BulkPreview>(BULK, {
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
    if (!yes && !canAsk()) throw new UsageError(`${name} ${matched} incidents? Nobody can be asked here: say --yes`);
    if (!yes && !(await confirmed(`${name} ${preview.allowed} of ${matched} incidents?`))) {
      process.exitCode = EXIT.refused;
      return writeNotice('nothing was done');
    }
  }
  const command = commandLineOf(COMMAND_TABLE[name].subcommand, filters, { by, note, resolution });
  await work(
    api,
    { ...body, limit: AT_ONCE },
    { start: resume ?? preview.snapshot, matched, json: options.json, command },
  );
}

/** What the filters select, and what would become of it. */
async function show(api: ApiClient, filters: Filters, name: CommandName, preview: BulkPreview): Promise<void> {
  const { matched, allowed, unchanged, refused, judged, actions } = preview;
  const path = withQuery('/api/v1/incidents/groups', { ...filters, limit: String(MOST_SHOWN) });
  const { groups, total } = await readGroups(api, path);
  await writeLines(groupTable(groups));
  if (total > groups.length) writeNotice(`and ${total - groups.length} more groups`);
  const refusing = Object.entries(refused).map(([state, count]) => `${count} ${state}`);
  const parts = [
    `${allowed} would change`,
    ...(unchanged > 0 ? [`${unchanged} are there already`] : []),
    ...(refusing.length > 0 ? [`refused: ${refusing.join(', ')}`] : []),
  ];
  const among = judged === undefined ? '' : `; of the first ${judged}`;
  writeNotice(`${matched} ${matched === 1 ? 'incident' : 'incidents'}${among}: ${parts.join(', ')}`);
  if (name !== 'resolve' || allowed === 0) return;
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
  const counts = { moved: 0, unchanged: 0, refused: 0 };
  const interrupted = new AbortController();
  // A second one ends the process.
  process.once('SIGINT', () => interrupted.abort());
  const bar = progressBar(matched);
  let cursor: string | undefined = start;
  try {
    while (cursor !== undefined && !interrupted.signal.aborted) {
      const answer: BulkAnswer = await api.command<BulkAnswer>(BULK, { ...body, cursor });
      bar.end();
      for (const { id, status, error, change, ...rest } of answer.results) {
        counts[status === 200 ? (change ?? 'moved') : 'refused'] += 1;
        if (json) await writeJson({ id, outcome: status === 200 ? 'done' : 'refused', status, change, error, ...rest });
        else if (status !== 200) writeNotice(`${id}: ${String(error)}`);
      }
      ({ cursor } = answer);
      if (answer.stopped !== undefined) throw new Refused(answer.stopped.status, { error: answer.stopped.error });
      bar.show(counts.moved + counts.unchanged + counts.refused);
    }
  } finally {
    bar.end();
    const { moved, unchanged, refused } = counts;
    if (refused > 0) process.exitCode = EXIT.refused;
    if (!json) await writeLines([`${moved} changed, ${unchanged} were there already, ${refused} refused`]);
    if (cursor !== undefined) {
      process.exitCode = EXIT.refused;
      writeNotice(`it is not done; go on with: ${command} --resume ${cursor}`);
    }
  }
}

/** The options of what is written in another way than its filter. */
const OPTIONS_OF: Readonly<Record<string, (value: string) => readonly string[]>> = {
  q: (words) => ['--search', quoted(words)],
  attention: () => ['--attention'],
  silenced: (is) => [is === 'true' ? '--silenced' : '--no-silenced'],
  snoozed: (is) => [is === 'true' ? '--snoozed' : '--no-snoozed'],
  updated_since: (time) => ['--updated-since', time],
};

/**
 * The command line with filters as they were understood: what is said as "2h" is another time later. It says the same about
 * who wants it and why.
 */
const commandLineOf = (
  subcommand: string,
  filters: Filters,
  said: Readonly<Record<string, string | undefined>>,
): string =>
  [
    'incident-recorder',
    subcommand,
    ...Object.entries({ ...filters, ...said }).flatMap(([name, value]) => {
      const values = [value ?? []].flat();
      const [first] = values;
      if (first === undefined) return [];
      return OPTIONS_OF[name]?.(first) ?? [`--${name}`, ...values.map(quoted)];
    }),
  ].join(' ');

const quoted = (text: string): string => (/^[\w:.@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
