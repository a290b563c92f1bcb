/** `incident-recorder archive`: asks the recorder to move old segments of the audit log to the archive. */
import type { Command } from 'commander';
import type { ArchiveOutcome } from '../incidents/archivist.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { timeOf } from './filter-options.ts';
import { counted } from './terminal/counted.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Moves old segments of the audit log to the directory archive/ next to the log, and removes their incidents from the \
record. A sealed segment is moved when all its entries are from before the time. An incident that is not resolved stays on \
record: an entry carries it over. \
The log keeps a signed entry for each, so that verification can distinguish archived from deleted. You can move the \
files on from the archive.`;

interface Options extends ApiOptions {
  readonly before: string;
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .requiredOption('--before <time>', 'RFC 3339, a day like 2026-11-22, or 30d for that long ago'),
  ).action(async ({ before, ...options }: Options) => {
    const outcome = await new ApiClient(options).command<ArchiveOutcome>('/api/v1/archive', { before: timeOf(before) });
    await (options.json ? writeJson(outcome) : writeLines(describe(outcome).map(printable)));
  });

function describe({ archived, staying, carried }: ArchiveOutcome): readonly string[] {
  const lines = [
    ...archived.map(
      ({ path, first_seq, last_seq, incidents }) =>
        `archived ${path} (entries ${first_seq} to ${last_seq}, ${counted(incidents, 'incident')})`,
    ),
    ...staying.map(({ path, reason }) => `stays    ${path}: ${reason}`),
    ...(carried === 0 ? [] : [`carried  ${carried} unresolved incidents over: they stay on record`]),
  ];
  return lines.length === 0 ? ['nothing is old enough to be archived'] : lines;
}
