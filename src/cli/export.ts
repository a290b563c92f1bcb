/** `incident-recorder export`: saves incidents with what proves them. */
import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type Bundle, LONGEST_BUNDLE, type Manifest } from '../bundle/format.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { UsageError } from './exit.ts';
import { saveDownload } from './save-download.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Saves incidents in one file for a post-mortem or a court: what is on record of them, their lines of the audit log, their \
statecharts, and a page to print, with what proves them. verify-bundle checks it without the recorder. Needs the role \
auditor. The file is readable by you alone, and it is there when it is whole.

At a fleet (--url, --machine) the fleet makes and signs it, from the lines that the machine has sent. All incidents are of one \
machine. --log names a history of its log, for incidents of a past that the machine has left.`;

/** How long it may take, in milliseconds. */
const PATIENCE = 300_000;

interface Options extends ApiOptions {
  readonly to: string;
  readonly log?: string;
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .argument('<id...>', 'identifiers of incidents, at most 50')
      .requiredOption('--to <file>', 'a file that is not there yet')
      .option('--log <history>', 'at a fleet: the history, or the identity of the log, that the incidents are from'),
  ).action(async (ids: readonly string[], { to, log, ...options }: Options) => {
    if (existsSync(to)) throw new UsageError(`${to} is there already: an export overwrites nothing`);
    const query = new URLSearchParams(ids.map((id) => ['id', id] as [string, string]));
    if (log !== undefined) query.set('log', log);
    const asked = new ApiClient(options).stream(
      `/api/v1/incidents/bundle?${query.toString()}`,
      {},
      AbortSignal.timeout(PATIENCE),
    );
    const response = await asked;
    const saved = await saveDownload(response, to, Number(response.headers['content-length']), LONGEST_BUNDLE);
    const manifest = JSON.parse((JSON.parse(readFileSync(to, 'utf8')) as Bundle).manifest) as Manifest;
    const { proofs, signed_by: fleet } = manifest;
    if (options.json) return writeJson({ file: to, ...saved, proofs, ...(fleet && { signed_by: fleet }) });
    const proved =
      proofs.length === 0
        ? 'nothing proves it: the log has no key, and EXPORT_KEY_PATH is not set'
        : `proved by ${proofs.join(' and ')}${fleet === undefined ? '' : ` of the fleet ${fleet.fleet}`}`;
    return writeLines([printable(`exported ${to} (${saved.bytes} bytes, sha256 ${saved.sha256}); ${proved}`)]);
  });
