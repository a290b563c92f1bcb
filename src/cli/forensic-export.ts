/** `incident-recorder forensic-export`: saves a signed copy of what is on record. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Command } from 'commander';
import { syncDirectoryOf, writeAll } from '../durable-file.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { UsageError } from './exit.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Saves the unresolved incidents, the resolved ones as far as they fit into 64 MiB, and the last 1,000 lines of the audit \
log, signed with the key of FORENSIC_HMAC_KEY_PATH, for the appliance's offline verifier. Needs the role auditor. The \
file is readable by you alone, and it is there when it is whole.`;

const PATH = '/api/v1/forensic/export';
/** How long it may take, in milliseconds. */
const PATIENCE = 300_000;
/** The largest export, in bytes. */
const LARGEST = 64 * 1024 * 1024;

interface Options extends ApiOptions {
  readonly to: string;
}

export const define = (command: Command): Command =>
  withApiClient(command.description(DESCRIPTION).requiredOption('--to <file>', 'a file that is not there yet')).action(
    async ({ to, ...options }: Options) => {
      if (existsSync(to)) throw new UsageError(`${to} is there already: an export overwrites nothing`);
      const response = await new ApiClient(options).stream(PATH, {}, AbortSignal.timeout(PATIENCE));
      const saved = await save(response, to, Number(response.headers['content-length']));
      await (options.json
        ? writeJson({ file: to, ...saved })
        : writeLines([printable(`exported ${to} (${saved.bytes} bytes, sha256 ${saved.sha256})`)]));
    },
  );

/** Writes what arrives to a file, in one step. @returns its size and the SHA-256 of all of it, lower-case hex */
async function save(
  response: AsyncIterable<Buffer>,
  to: string,
  length: number,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const partial = `${to}.partial-${randomBytes(4).toString('hex')}`;
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(partial, 'wx', 0o600);
  try {
    try {
      for await (const chunk of response) {
        bytes += chunk.length;
        if (bytes > LARGEST) break;
        hash.update(chunk);
        await writeAll(file.fd, chunk);
      }
      if (bytes !== length || bytes > LARGEST) throw new Error(`the export is not whole: ${bytes} bytes of ${length}`);
      await file.sync();
    } finally {
      await file.close();
    }
    renameSync(partial, to);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
  await syncDirectoryOf(to);
  return { bytes, sha256: hash.digest('hex') };
}
