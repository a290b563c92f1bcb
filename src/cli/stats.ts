/** `incident-recorder stats`: how many incidents there are, by class, state and severity. */
import type { Command } from 'commander';
import type { StatisticsReading } from '../projections/statistics.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { table } from './terminal/table.ts';

type Counts = Readonly<Record<string, number>>;

export const define = (command: Command): Command =>
  withApiClient(command.description('Counts the incidents on record.')).action(async (options: ApiOptions) => {
    const statistics = await new ApiClient(options).read<StatisticsReading>('/api/v1/stats');
    if (options.json) return writeJson(statistics);
    const { total_incidents, open_incidents, by_class, by_state, by_containment, by_severity, by_resolution } =
      statistics;
    const { open_by_severity } = statistics;
    const open = (name: string): string => String((open_by_severity as Counts)[name] ?? 0);
    return writeLines([
      `${total_incidents} incidents, ${open_incidents} that nobody has taken on yet`,
      '',
      ...countTable('SEVERITY', by_severity, { header: 'OPEN', value: ([name]) => open(name) }),
      '',
      ...countTable('STATE', by_state),
      '',
      ...countTable('CONTAINMENT', by_containment),
      '',
      ...countTable('RESOLUTION', by_resolution),
      '',
      ...countTable('CLASS', by_class),
    ]);
  });

type Row = readonly [name: string, count: number];

const countTable = (
  header: string,
  counts: Counts,
  ...more: readonly { readonly header: string; readonly value: (row: Row) => string }[]
): readonly string[] =>
  table<Row>(
    [{ header, value: ([name]) => name }, { header: 'COUNT', value: ([, count]) => String(count) }, ...more],
    Object.entries(counts),
  );
