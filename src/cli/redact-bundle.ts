/** `incident-recorder redact-bundle`: leaves fields out of an evidence bundle. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { redactBundle } from '../bundle/redact-bundle.ts';
import { BundleFault, readBundle } from '../bundle/verify-bundle.ts';
import { withJson } from './api-client.ts';
import { UsageError } from './exit.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';
import { readBundleFile } from './verify-bundle.ts';

const DESCRIPTION = `Leaves fields out of a bundle, e.g. before it goes to somebody who must not see them. Their hashes stay in it, so the rest \
still verifies. With a field goes what shows the same: the page, the lines of that incident, and its other members that \
hold the same text. What other incidents in the bundle say is named and stays. The names of fields stay readable, too.

A field is named as verify-bundle names it: incident/ID/evidence/ip, entry/17, page. A name that ends in /* stands for \
all that begin so.`;

interface Options {
  readonly leaveOut: readonly string[];
  readonly to: string;
  readonly json?: true;
}

const listed = (one: string, before: readonly string[] = []): readonly string[] => [...before, one];

export const define = (command: Command): Command =>
  withJson(
    command
      .description(DESCRIPTION)
      .argument('<file>', 'the bundle')
      .requiredOption('--leave-out <field>', 'a field; repeat it for others', listed)
      .requiredOption('--to <file>', 'a file that is not there yet'),
  ).action(async (file: string, { leaveOut, to, json }: Options) => {
    if (existsSync(to)) throw new UsageError(`${to} is there already: nothing is overwritten`);
    const { text, left_out: out, still_in: stillIn, unknown } = redactBundle(bundleIn(file), leaveOut);
    if (unknown.length > 0) throw new UsageError(`${file} has no field ${unknown.join(', ')}`);
    await writeFile(to, text, { mode: 0o600, flag: 'wx' });
    await (json
      ? writeJson({ file: to, left_out: out, still_in: stillIn })
      : writeLines(
          [
            `${to}: left out ${out.join(', ')}`,
            ...(stillIn.length === 0 ? [] : [`the same can still be read in ${stillIn.join(', ')}`]),
          ].map(printable),
        ));
  });

function bundleIn(file: string) {
  try {
    return readBundle(readBundleFile(file));
  } catch (error) {
    if (!(error instanceof BundleFault)) throw error;
    throw new UsageError(`${file}: ${error.message}`);
  }
}
