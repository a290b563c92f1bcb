/** `incident-recorder silence list`: the silences that are pending or active, or those that are over. */
import type { Command } from 'commander';
import { matchersText, type ShownSilence } from '../domain/silence.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';
import { table } from './terminal/table.ts';

interface Options extends ApiOptions {
  readonly expired?: boolean;
  readonly idOnly?: boolean;
  readonly quiet?: boolean;
}

const DESCRIPTION = `Lists the silences that are pending or active, the newest first, with how many incidents each keeps from needing \
attention. It warns of those that expire soon.`;

export const defineList = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .option('--expired', 'those that are over instead: expired or ended')
      .option('--id-only', 'identifiers only')
      .option('-q, --quiet', 'the same'),
  ).action(async (options: Options) => {
    const all = await new ApiClient(options).read<readonly ShownSilence[]>('/api/v1/silences');
    const isOver = ({ state }: ShownSilence): boolean => state === 'expired' || state === 'ended';
    const silences = all.filter((silence) => isOver(silence) === (options.expired === true));
    if (options.idOnly || options.quiet) await writeLines(silences.map(({ id }) => printable(id)));
    else if (options.json) await writeJson(...silences);
    else if (silences.length === 0) writeNotice(options.expired ? 'no silences are over' : 'there are no silences');
    else await writeLines(table<ShownSilence>(COLUMNS, silences));
    for (const { id, until, expires_soon } of silences) {
      if (expires_soon) writeNotice(`${id} expires soon, at ${until}: add another one if it is still needed`);
    }
  });

const COLUMNS: Parameters<typeof table<ShownSilence>>[0] = [
  { header: 'ID', value: ({ id }) => id },
  { header: 'STATE', value: ({ state, expires_soon }) => (expires_soon ? `${state} (expires soon)` : state) },
  { header: 'UNTIL', value: ({ until, ended_at }) => ended_at ?? until },
  { header: 'MATCHES', value: ({ matches }) => String(matches) },
  { header: 'MATCHERS', value: matchersText, least: 16 },
  { header: 'FROM', value: ({ from }) => from, optional: true },
  { header: 'BY', value: ({ by }) => by ?? '', least: 6, optional: true },
  { header: 'COMMENT', value: ({ reason }) => reason, least: 12, optional: true },
];
