/** `incident-recorder similar`: the incidents with the same values in their evidence, and how they ended. */
import type { Command } from 'commander';
import type { Incident } from '../client/shapes.ts';
import { ApiClient, type ApiOptions, withQuery, withApiClient } from './api-client.ts';
import { wholeNumber } from './filter-options.ts';
import { stateStyle, stateWords } from './summary.ts';
import { ageOf } from './terminal/age.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';

interface Options extends ApiOptions {
  readonly limit?: number;
}

interface Similar {
  readonly incident: Incident;
  readonly same: readonly { readonly path: string; readonly value: string | number | boolean | null }[];
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(
        'Lists the incidents whose evidence has the same values under the same keys: those with the most of them first.',
      )
      .argument('<id>', 'identifier of an incident')
      .option('--limit <count>', 'how many; 20 when not given, at most 100', wholeNumber),
  ).action(async (id: string, options: Options) => {
    const limit = options.limit === undefined ? undefined : String(options.limit);
    const similar = await new ApiClient(options).read<readonly Similar[]>(
      withQuery('/api/v1/incidents/similar', { id, limit }),
    );
    if (options.json) return writeJson(...similar);
    if (similar.length === 0) return writeNotice('no incident has the same values in its evidence');
    return writeLines(table(columns(Date.now()), similar));
  });

const columns = (now: number): readonly Column<Similar>[] => [
  { header: 'ID', value: ({ incident: { id } }) => id },
  {
    header: 'STATE',
    value: ({ incident: { state, containment, recovery, resolution } }) => {
      const words = stateWords({ state, containment, recovery });
      return resolution === undefined ? words : `${words}, ${resolution}`;
    },
    style: ({ incident: { state, containment } }) => stateStyle(state, containment),
  },
  { header: 'AGE', value: ({ incident: { created_at } }) => ageOf(created_at, now) },
  { header: 'CLASS', value: ({ incident }) => incident.class, least: 12 },
  { header: 'SOURCE', value: ({ incident: { source } }) => source, least: 8, optional: true },
  { header: 'SAME', value: ({ same }) => same.map(({ path, value }) => `${path}: ${value}`).join(', '), least: 12 },
];
