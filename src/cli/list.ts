/** `incident-recorder list`: the incidents on record, the most severe first, then the newest. */
import type { Command } from 'commander';
import type { Incident } from '../client/shapes.ts';
import { type FilterOptions, timeOf, wholeNumber, withFilterOptions } from './filter-options.ts';
import { ApiClient, type ApiOptions, withQuery, withApiClient } from './api-client.ts';
import { ageOf } from './terminal/age.ts';
import { SEVERITY_STYLES, STATE_STYLES } from './terminal/colour.ts';
import { writeNotice, writeJson, writeLines } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';
import { stateWords } from './summary.ts';
import { STATES } from '../../machines/vocabulary.ts';

interface Options extends ApiOptions, FilterOptions {
  readonly source?: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly search?: string;
  readonly limit?: number;
}

/** The most incidents on a page of the API. */
const LONGEST_PAGE = 1000;
/** How many incidents a table shows by default. */
const LONGEST_TABLE = 100;

export const define = (command: Command): Command =>
  withApiClient(
    withFilterOptions(command.description('Lists incidents, the most severe first, then the newest. Filters add up.'))
      .option('--source <source...>', 'reported by these')
      .option('--since <time>', 'reported since: RFC 3339, a day, or 2h, 7d')
      .option('--until <time>', 'reported before')
      .option('--search <words>', 'with all these words in description, source or id; agent* is the beginning of one')
      .option('--limit <count>', `how many; ${LONGEST_TABLE} when not given, all with --json`, wholeNumber),
  ).action(async (options: Options) => {
    const { json, limit = json ? Number.POSITIVE_INFINITY : LONGEST_TABLE } = options;
    let left = limit;
    let more = false;
    const rows: Incident[] = [];
    for await (const page of new ApiClient(options).pages<Incident>(pathOf(options, limit))) {
      more = page.length > left;
      const taken = page.slice(0, left);
      left -= taken.length;
      if (json) await writeJson(...taken);
      else rows.push(...taken);
      if (left === 0) break;
    }
    if (json) return;
    if (rows.length === 0) writeNotice('no such incidents');
    else await writeLines(table(columns(Date.now()), rows));
    if (rows.some(({ source_suspicious }) => source_suspicious)) {
      writeNotice('(!) the source mixes scripts, or looks like another one');
    }
    if (more) writeNotice(`there are more than ${limit}: --limit shows more, filters show others`);
  });

/** Asks for one more than the limit, to know whether there are more. */
const pathOf = (options: Options, limit: number): string =>
  withQuery('/api/v1/incidents', {
    class: options.class,
    state: options.state,
    severity: options.severity,
    source: options.source,
    since: options.since === undefined ? undefined : timeOf(options.since),
    until: options.until === undefined ? undefined : timeOf(options.until),
    q: options.search,
    limit: String(Math.max(1, Math.min(LONGEST_PAGE, limit + 1))),
  });

const columns = (now: number): readonly Column<Incident>[] => [
  { header: 'ID', value: ({ id }) => id },
  {
    header: 'SEVERITY',
    value: ({ severity }) => severity,
    style: ({ severity }) => SEVERITY_STYLES[severity],
  },
  {
    header: 'STATE',
    value: ({ state, containment }) => stateWords(state, containment),
    style: ({ state }) => STATE_STYLES[state],
    least: Math.max(...STATES.map(({ length }) => length)),
  },
  { header: 'AGE', value: ({ created_at }) => ageOf(created_at, now) },
  { header: 'CLASS', value: (incident) => incident.class, least: 12 },
  {
    header: 'SOURCE',
    value: ({ source, source_suspicious }) => (source_suspicious === true ? `(!) ${source}` : source),
    least: 8,
    optional: true,
  },
  { header: 'DESCRIPTION', value: ({ description }) => description, least: 12, optional: true },
];
