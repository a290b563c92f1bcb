/** `incident-recorder archive`: asks the service to move old segments of the audit log to the archive. */
import { parseArgs } from 'node:util';
import type { ArchiveOutcome } from '../incidents/archivist.ts';
import { DEFAULT_URL, NotReachable, post } from './api-client.ts';
import { EXIT, subcommand } from './subcommand.ts';

const USAGE = `usage: incident-recorder archive --before DATE [--url URL] [--token-file FILE]

Moves the sealed segments of the audit log whose entries are all from before DATE (RFC 3339, or a day like 2026-11-22)
and whose incidents are all resolved to the directory archive/ beside the log, and takes those incidents off the record.
The log keeps a signed entry for each, so that a verifier can tell archived from deleted; from the archive the files may
be moved anywhere. The service is found at URL (http://host:port or unix:/path), else INCIDENT_RECORDER_URL, else
${DEFAULT_URL}; its token in FILE, else INCIDENT_RECORDER_TOKEN_PATH, else SERVICE_TOKEN_PATH.

Exit code 0: done, even when there was nothing to move. 1: refused. 2: usage. 3: the service is not reachable.
`;

interface Arguments {
  readonly before: string;
  readonly url: string;
  readonly tokenPath: string;
}

export const run = subcommand({ usage: USAGE, read: readArguments, act: archive });

async function archive({ before, ...connection }: Arguments): Promise<number> {
  try {
    const { status, body } = await post(connection, '/api/v1/archive', { before });
    if (status !== 200) throw new Error(`refused (${status}): ${String(body.error)}`);
    process.stdout.write(describe(body as unknown as ArchiveOutcome));
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof NotReachable)) throw error;
    process.stderr.write(`${error.message}\n`);
    return EXIT.notReachable;
  }
}

function readArguments(args: string[]): Arguments | 'help' {
  const text = { type: 'string' } as const;
  const options = { before: text, url: text, 'token-file': text, help: { type: 'boolean', short: 'h' } } as const;
  const { values } = parseArgs({ args, options });
  if (values.help) return 'help';
  const { env } = process;
  const tokenPath = values['token-file'] ?? (env.INCIDENT_RECORDER_TOKEN_PATH || env.SERVICE_TOKEN_PATH);
  if (values.before === undefined) throw new Error('--before is required');
  if (!tokenPath) throw new Error('--token-file is required');
  const before = /^\d{4}-\d\d-\d\d$/.test(values.before) ? `${values.before}T00:00:00Z` : values.before;
  return { before, url: values.url ?? (env.INCIDENT_RECORDER_URL || DEFAULT_URL), tokenPath };
}

function describe({ archived, staying }: ArchiveOutcome): string {
  const lines = [
    ...archived.map(
      ({ path, first_seq, last_seq, incidents }) =>
        `archived ${path} (entries ${first_seq} to ${last_seq}, ${incidents} incidents)`,
    ),
    ...staying.map(({ path, reason }) => `stays    ${path}: ${reason}`),
  ];
  return `${(lines.length === 0 ? ['nothing is old enough to be archived'] : lines).join('\n')}\n`;
}
