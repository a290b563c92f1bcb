/** `incident-recorder stats`: how many incidents there are, by class, state and severity, and how that compares. */
import type { Command } from 'commander';
import type { StatisticsReading } from '../query/statistics.ts';
import type { ComparedBy, ComparisonReading } from '../query/comparison-reading.ts';
import { ApiClient, type ApiOptions, withApiClient, withQuery } from './api-client.ts';
import { comparisonLines } from './comparison.ts';
import { emptyOrOneOf, timeOf } from './filter-options.ts';
import { counted } from './terminal/counted.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { table } from './terminal/table.ts';

/** By what incidents may be grouped; `projections/comparison.ts` is of the service. */
const COMPARED = ['class', 'source', 'severity', 'hour'] as const satisfies readonly ComparedBy[];

type Counts = Readonly<Record<string, number>>;

interface Options extends ApiOptions {
  readonly since?: string;
  readonly until?: string;
  readonly by?: ComparedBy;
  readonly compare?: boolean;
}

const DESCRIPTION = `Counts the incidents on record. With --compare, or with a range or --by, it compares the incidents that were reported in \
a range with those of the range before, and how long they took to be contained, acknowledged and resolved.`;

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .option('--compare', 'compare a range of time with the one of the same length before it')
      .option('--since <time>', 'the beginning of the range: RFC 3339, a day, or 2h, 7d; 24h when not given')
      .option('--until <time>', 'its end, which is not in it; now when not given')
      .addOption(emptyOrOneOf(COMPARED, command.createOption('--by <what>', 'group by this; class when not given'))),
  ).action(async ({ since, until, by, compare, ...options }: Options) => {
    const api = new ApiClient(options);
    if (compare || since !== undefined || until !== undefined || by !== undefined) {
      const path = withQuery('/api/v1/stats/compare', {
        since: since === undefined ? undefined : timeOf(since),
        until: until === undefined ? undefined : timeOf(until),
        by,
      });
      const reading = await api.read<ComparisonReading>(path);
      return options.json ? writeJson(reading) : writeLines(comparisonLines(reading, by ?? 'class'));
    }
    const statistics = await api.read<StatisticsReading & { readonly needs_attention: number }>('/api/v1/stats');
    if (options.json) return writeJson(statistics);
    const { total_incidents, open_incidents, by_class, by_state, by_containment, by_severity, by_resolution } =
      statistics;
    const { open_by_severity, needs_attention } = statistics;
    const open = (name: string): string => String((open_by_severity as Counts)[name] ?? 0);
    return writeLines([
      `${counted(total_incidents, 'incident')}, ${open_incidents} that nobody has taken on yet, ${counted(needs_attention, 'that needs', 'that need')} attention`,
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
