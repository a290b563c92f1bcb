/** `incident-recorder rotate-key`: replaces the key of an audit log whose recorder is stopped. */
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { chainHash } from '../audit/chain-hash.ts';
import { readKey } from '../audit/key.ts';
import { systemClock } from '../clock.ts';
import { type KeyRotationOutcome, rotateKey } from '../incidents/key-rotation.ts';
import { withJson } from './api-client.ts';
import { UsageError } from './exit.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Lets an audit log go on under another key. Stop the recorder before. The whole log is verified under the old key, and \
its files go to archive/. The new file begins with an entry that names the end of the old log under both keys; \
unresolved incidents are carried over with their full state, resolved ones are in the archive.

Afterwards put the new key where AUDIT_HMAC_KEY_PATH points, keep the old one with the archive, and start the recorder. \
verify --key NEW --old-key OLD checks both together. When it is ended on the way, run it again with the same keys: until \
then the recorder does not start. Without --old-key the log has no key so far.`;

interface Options {
  readonly oldKey?: string;
  readonly newKey: string;
  readonly stateDirectory?: string;
  readonly by?: string;
  readonly note?: string;
  readonly json?: true;
}

export const define = (command: Command): Command =>
  withJson(
    command
      .description(DESCRIPTION)
      .argument('<file>', 'the log')
      .option('--old-key <file>', 'the key that it has')
      .requiredOption('--new-key <file>', 'the key that it gets')
      .option('--state-directory <dir>', 'where the checkpoint is, with ALLOW_SHARED_LOG_DIRECTORY=1')
      .option('--by <who>', 'who does it')
      .option('--note <text>', 'a note for the log'),
  ).action(async (path: string, { oldKey, newKey, stateDirectory, by, note, json }: Options) => {
    const [old, made] = [oldKey === undefined ? undefined : readKey(oldKey), readKey(newKey)];
    if (old?.equals(made)) throw new UsageError('both files hold the same key');
    process.umask(0o027);
    const outcome = await rotateKey({
      path,
      beside: stateDirectory === undefined ? path : join(stateDirectory, basename(path)),
      oldHash: chainHash(old),
      newHash: chainHash(made),
      clock: systemClock,
      ...(by === undefined ? {} : { by }),
      ...(note === undefined ? {} : { note }),
    });
    await (json ? writeJson(outcome) : writeLines(describe(outcome, newKey).map(printable)));
  });

const describe = (
  { old_last_seq, first_seq, carried, archived }: KeyRotationOutcome,
  newKey: string,
): readonly string[] => [
  `the log goes on with entry ${first_seq} under the key in ${newKey}`,
  `carried over ${carried} unresolved incidents`,
  ...archived.map((path) => `archived ${path} (old key, up to entry ${old_last_seq})`),
  'now put the new key where AUDIT_HMAC_KEY_PATH points, and keep the old one with the archive',
];
