/** `incident-recorder forensic-export`: saves a signed copy of what is on record. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { UsageError } from './exit.ts';
import { saveDownload } from './save-download.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Saves the unresolved incidents, the resolved ones as far as they fit into 64 MiB, and the last 1,000 lines of the audit \
log, signed with the key of FORENSIC_HMAC_KEY_PATH, for the appliance's offline verifier. Needs the role auditor. The \
file is readable by you alone, and it is there when it is whole.

At a fleet (--url, --machine) it is of one machine, from the lines that this has sent, and the fleet signs it with its own key. \
--log names a history of the log that the machine has left. verify-forensic checks it.`;

const PATH = '/api/v1/forensic/export';
/** How long it may take, in milliseconds. */
const PATIENCE = 300_000;
/** The largest export, in bytes. */
const LARGEST = 64 * 1024 * 1024;

interface Options extends ApiOptions {
  readonly to: string;
  readonly log?: string;
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .requiredOption('--to <file>', 'a file that is not there yet')
      .option('--log <history>', 'at a fleet: the history, or the identity of the log, that it is of'),
  ).action(async ({ to, log, ...options }: Options) => {
    if (existsSync(to)) throw new UsageError(`${to} is there already: an export overwrites nothing`);
    const path = log === undefined ? PATH : `${PATH}?log=${encodeURIComponent(log)}`;
    const response = await new ApiClient(options).stream(path, {}, AbortSignal.timeout(PATIENCE));
    const saved = await saveDownload(response, to, Number(response.headers['content-length']), LARGEST);
    await (options.json
      ? writeJson({ file: to, ...saved })
      : writeLines([printable(`exported ${to} (${saved.bytes} bytes, sha256 ${saved.sha256})`)]));
  });
