/** `incident-recorder backup`: a consistent copy of the log, also while the recorder writes it. */
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { backUp } from '../audit/backup.ts';
import { checkpointPath } from '../audit/checkpoint.ts';
import { type LogOptions, logOf, withLog } from './log-options.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Copies the audit log, its segments, its checkpoint and its identity into a new directory that only you can read, \
verifies the copy with the key, and syncs it. The recorder may run. The copy holds the fingerprint of the audit key, \
never the key: keep that elsewhere, nobody can verify or continue the log without it. Segments in archive/ are not \
copied: they do not change any more.

Note the number of entries and the head hash elsewhere: they are an anchor for verify. To put the copy back: \
incident-recorder restore.`;

const NO_CHECKPOINT = `there was no checkpoint beside the log, so entries cut off its end would not show; with \
ALLOW_SHARED_LOG_DIRECTORY=1 it is elsewhere: name that directory with --state-directory`;

export const define = (command: Command): Command =>
  withLog(command.description(DESCRIPTION).argument('<directory>', 'a new directory')).action(
    async (directory: string, options: LogOptions) => {
      const { path: log, beside, hash } = logOf(options);
      const { manifest } = await backUp({ log, beside, directory, hash, now: Date.now });
      const { entries, last_hash, files, key_fingerprint, algorithm } = manifest;
      if (entries > 0 && !files.some(({ name }) => name === checkpointPath(basename(log)))) writeNotice(NO_CHECKPOINT);
      if (options.json) return writeJson({ directory: resolve(directory), ...manifest });
      const bytes = files.reduce((sum, one) => sum + one.bytes, 0);
      return writeLines(
        [
          `backed up   ${log} to ${resolve(directory)}`,
          `entries     ${entries}`,
          `head hash   ${last_hash === '' ? '-' : last_hash}`,
          `verified    ${algorithm === 'sha256' ? 'without a key: shows accidents, not forgery' : 'with the audit key'}`,
          `key         fingerprint ${key_fingerprint} (the key is not in the backup)`,
          `files       ${files.length}, ${bytes} bytes`,
        ].map(printable),
      );
    },
  );
