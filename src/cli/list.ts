/** `incident-recorder list`: the incidents on record, the most severe first, then the newest. */
import type { Command } from 'commander';
import type { Incident } from '../client/shapes.ts';
import { UsageError } from './exit.ts';
import { emptyOrOneOf, filtersOf, type ListFilterOptions, wholeNumber, withListFilters } from './filter-options.ts';
import { listGroups } from './groups.ts';
import { ApiClient, type ApiOptions, withQuery, withApiClient } from './api-client.ts';
import { ageOf, timeLeft } from './terminal/age.ts';
import { SEVERITY_STYLES } from './terminal/colour.ts';
import { isOutputGone, writeNotice, writeJson, writeLines } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';
import { stateStyle, stateWords } from './summary.ts';
import { SORTS } from '../query/list-query.ts';
import { RESOLUTIONS, STATES } from '../../machines/vocabulary.ts';

interface Options extends ApiOptions, ListFilterOptions {
  readonly resolution?: readonly string[];
  readonly sort?: string;
  readonly limit?: number;
  readonly collapse?: boolean;
  readonly groups?: boolean;
  readonly by?: readonly string[];
}

/** A line of the table: an incident, and how many there are like it. */
interface Row {
  readonly incident: Incident;
  count: number;
}

/** The most incidents on a page of the API. */
const LONGEST_PAGE = 1000;
/** How many incidents a table shows by default. */
const LONGEST_TABLE = 100;

export const define = (command: Command): Command =>
  withApiClient(
    withListFilters(
      command.description(
        'Lists incidents, the most severe first, then the newest, or as --sort says. Filters add up.',
      ),
    )
      .addOption(
        emptyOrOneOf(RESOLUTIONS, command.createOption('--resolution <kind...>', 'that turned out to be one of these')),
      )
      .addOption(
        emptyOrOneOf(SORTS, command.createOption('--sort <order>', 'the order; with - before it the opposite')),
      )
      .option(
        '--collapse',
        'one line for all incidents of the same severity, state, class and source: the newest of them',
      )
      .option('--groups', 'in groups: a burst of hundreds is one line')
      .option(
        '--by <name...>',
        'on which one of these has acted; with --groups: what a group has in common, class,source when not given',
      )
      .option('--limit <count>', `how many; ${LONGEST_TABLE} when not given, all with --json`, wholeNumber),
  ).action(async (options: Options) => {
    const { groups, by, sort } = options;
    if (groups) {
      if (sort !== undefined) throw new UsageError('--groups has an order of its own; leave out --sort');
      return listGroups(options, { resolution: options.resolution, by });
    }
    const { json, collapse = false, limit = json ? Number.POSITIVE_INFINITY : LONGEST_TABLE } = options;
    if (collapse) {
      if (json) throw new UsageError('--collapse is for the table; leave out --json');
      const api = new ApiClient(options);
      await writeTable(await collapsed(api, options, limit), limit);
      return sayUnsearched(api);
    }
    let left = limit;
    let more = false;
    const rows: Row[] = [];
    const api = new ApiClient(options);
    for await (const page of api.pages<Incident>(pathOf(options, limit))) {
      more = page.length > left;
      const taken = page.slice(0, left);
      left -= taken.length;
      if (json) await writeJson(...taken);
      else rows.push(...taken.map((incident) => ({ incident, count: 1 })));
      if (left === 0 || isOutputGone()) break;
    }
    if (!json) await writeTable({ rows, more, total: api.total }, limit);
    sayUnsearched(api);
  });

interface Found {
  readonly rows: readonly Row[];
  /** Whether there are more. */
  readonly more: boolean;
  /** How many there are, where the recorder says it. */
  readonly total?: number | undefined;
}

/** An incident of a collapsed page, and how many there are like it. */
type Listed = Incident & { readonly alike?: { readonly count: number } };

/** Reads all pages, and keeps the newest of those that are alike: a flood of one source takes one line. */
async function collapsed(api: ApiClient, options: Options, limit: number): Promise<Found> {
  const rows = new Map<string, Row>();
  let more = false;
  for await (const page of api.pages<Listed>(pathOf(options, LONGEST_PAGE))) {
    for (const { alike, ...incident } of page) {
      const count = 1 + (alike?.count ?? 0);
      const key = JSON.stringify([
        incident.machine,
        incident.severity,
        incident.state,
        incident.class,
        incident.source,
      ]);
      const row = rows.get(key);
      if (row !== undefined) row.count += count;
      else if (rows.size < limit) rows.set(key, { incident, count });
      else more = true;
    }
  }
  return { rows: [...rows.values()], more };
}

/** What a search may not have looked at, as the recorder says it. */
const UNSEARCHED: Readonly<Record<string, string>> = {
  withheld: 'evidence, which you may not see',
  evidence: 'the rest of evidence that is long',
  notes: 'the older of many notes',
};

/** Says that a search was not complete. */
function sayUnsearched({ unsearched }: ApiClient): void {
  if (unsearched.length === 0) return;
  writeNotice(`not searched: ${unsearched.map((name) => UNSEARCHED[name] ?? name).join('; ')}`);
}

async function writeTable({ rows, more, total }: Found, limit: number): Promise<void> {
  const isOfFleet = rows.some(({ incident }) => incident.machine !== undefined);
  const isAssigned = rows.some(({ incident }) => incident.assignee !== undefined);
  if (rows.length === 0) writeNotice('no such incidents');
  else await writeLines(table([...(isOfFleet ? [MACHINE] : []), ...columns(Date.now(), isAssigned)], rows));
  if (rows.some(({ incident }) => incident.source_suspicious)) {
    writeNotice('(!) the source mixes scripts, or looks like another one');
  }
  if (!more) return;
  const shown = total === undefined ? `there are more than ${limit}` : `${limit} of ${total.toLocaleString('en')}`;
  writeNotice(`${shown}: --limit shows more, filters show others`);
}

/** Asks for one more than the limit, to know whether there are more. */
const pathOf = (options: Options, limit: number): string =>
  withQuery('/api/v1/incidents', {
    ...filtersOf(options),
    resolution: options.resolution,
    by: options.by,
    sort: options.sort,
    // The table shows nothing of the rest; scripts get all of it.
    fields: options.json ? undefined : 'summary',
    collapse: options.collapse ? 'source' : undefined,
    limit: String(Math.max(1, Math.min(LONGEST_PAGE, limit + 1))),
  });

const MACHINE: Column<Row> = { header: 'MACHINE', value: ({ incident: { machine } }) => machine ?? '' };

const columns = (now: number, isAssigned: boolean): readonly Column<Row>[] => [
  { header: 'ID', value: ({ incident: { id } }) => id },
  {
    header: 'SEVERITY',
    value: ({ incident: { severity } }) => severity,
    style: ({ incident: { severity } }) => SEVERITY_STYLES[severity],
  },
  {
    header: 'STATE',
    value: ({ incident: { state, containment, recovery, snoozed_until } }) =>
      `${stateWords({ state, containment, recovery })}${snoozed_until === undefined ? '' : `, snoozed for ${timeLeft(snoozed_until, now)}`}`,
    style: ({ incident: { state, containment } }) => stateStyle(state, containment),
    least: Math.max(...STATES.map(({ length }) => length)),
  },
  ...(isAssigned ? [{ header: 'ASSIGNEE', value: ({ incident: { assignee } }: Row) => assignee ?? '', least: 8 }] : []),
  { header: 'AGE', value: ({ incident: { created_at } }) => ageOf(created_at, now) },
  {
    header: 'CLASS',
    value: ({ incident, count }) =>
      `${incident.class}${incident.drill === true ? ' (drill)' : ''}${count === 1 ? '' : ` ×${count}`}`,
    least: 12,
  },
  {
    header: 'SOURCE',
    value: ({ incident: { source, source_suspicious } }) => (source_suspicious === true ? `(!) ${source}` : source),
    least: 8,
    optional: true,
  },
  { header: 'DESCRIPTION', value: ({ incident: { description } }) => description, least: 12, optional: true },
];
