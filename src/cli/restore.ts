/** `incident-recorder restore`: puts a backup back, when everything in it is as it should be. */
import type { Command } from 'commander';
import { restore } from '../audit/restore.ts';
import { databasePath } from '../projections/database.ts';
import { type LogOptions, logOf, withLog } from './log-options.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Checks a backup (its files, the fingerprint of the key, the chain, the checkpoint), and puts it back in the place of \
the log, owned by who owns that directory. Stop the recorder first. Where anything of a log is there already, nothing \
is overwritten. The database is not part of a backup: the recorder makes it again.

A directory that another tool has copied from a running recorder is taken too, when its log reaches its checkpoint. When \
the checkpoint is ahead, nothing proves whether entries were cut off the log or written while it was copied. With \
--as-is such a log is taken as it ends: it gets a checkpoint of its own, and the next start raises a finding that stays \
in /health until somebody acknowledges it.`;

interface Options extends LogOptions {
  readonly asIs?: true;
}

export const define = (command: Command): Command =>
  withLog(
    command
      .description(DESCRIPTION)
      .argument('<directory>', 'the backup')
      .option('--as-is', 'take a copy whose checkpoint is ahead of its log'),
  ).action(async (directory: string, options: Options) => {
    const { path: log, beside, hash } = logOf(options);
    const database = databasePath(beside);
    const restored = await restore({
      directory,
      log,
      beside,
      hash,
      obstacles: [database, `${database}-wal`],
      asIs: options.asIs === true,
    });
    if (options.json) return writeJson({ log, ...restored });
    const { verification, made_at, files, owner, lacking } = restored;
    const { entries, last, hash: head } = verification;
    const origin = made_at === undefined ? 'copied by another tool' : `backed up at ${made_at}`;
    return writeLines(
      [
        `restored    ${log}, ${origin}`,
        `entries     ${entries}, the last from ${last ?? '-'}: what was recorded later is not in it`,
        `head hash   ${head === '' ? '-' : head}`,
        `verified    ${hash.keyed ? 'with the audit key' : 'without a key: shows accidents, not forgery'}`,
        `owner       user ${owner.uid}, group ${owner.gid}, mode 0640`,
        ...files.map((path) => `file        ${path}`),
        ...(lacking === 0
          ? []
          : [`missing     ${lacking} entries that its checkpoint counted: the next start says so (log_mended)`]),
      ].map(printable),
    );
  });
