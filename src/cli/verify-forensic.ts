/** `incident-recorder verify-forensic`: checks a forensic export offline. */
import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { chainHash } from '../audit/chain-hash.ts';
import { readKey } from '../audit/key.ts';
import { readForensicKey } from '../forensic/forensic-key.ts';
import { type ForensicVerdict, verifyForensic } from '../forensic/verify-forensic.ts';
import { withJson } from './api-client.ts';
import { EXIT, UsageError } from './exit.ts';
import { fleetKeyGiven } from './verify-bundle.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Checks a file that forensic-export has saved, without the recorder: that nothing in it was changed, who has signed it, and \
how its lines of the log follow each other. A recorder signs with the key of FORENSIC_HMAC_KEY_PATH (--key), a fleet with its \
own (--fleet-key; incident-recorder fleet pubkey). With the audit key of the machine each line verifies, too.

Exit code 1: something was changed, or nothing shows who made it.`;

/** The largest export, in bytes. */
const LARGEST = 64 * 1024 * 1024;

interface Options {
  readonly key?: string;
  readonly fleetKey?: readonly string[];
  readonly auditKey?: readonly string[];
  readonly json?: true;
}

const listed = (one: string, before: readonly string[]): readonly string[] => [...before, one];

export const define = (command: Command): Command =>
  withJson(
    command
      .description(DESCRIPTION)
      .argument('<file>', 'the export')
      .option('--key <file>', 'the key of the recorder’s forensic exports')
      .option('--fleet-key <key>', 'the key of the fleet, or a file with it; may be repeated', listed, [])
      .option('--audit-key <file>', 'the audit key; may be repeated for lines from before a rotation', listed, []),
  ).action(async (file: string, { key, fleetKey = [], auditKey = [], json }: Options) => {
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined) throw new UsageError(`${file} is not there`);
    if (size > LARGEST) throw new UsageError(`${file} is longer than any export`);
    const verdict = verifyForensic(readFileSync(file), {
      key: key === undefined ? undefined : readForensicKey(key, { auditKey: undefined, isToken: () => false }),
      fleet: fleetKey.map(fleetKeyGiven),
      hashes: auditKey.map((one) => chainHash(readKey(one))),
    });
    if (!verdict.valid) process.exitCode = EXIT.refused;
    await (json
      ? writeJson({ file, ...verdict })
      : writeLines(describe(file, verdict, fleetKey.length > 0).map(printable)));
  });

function describe(file: string, verdict: ForensicVerdict, isPinned: boolean): readonly string[] {
  const { valid, faults, proved_by: by, system_state: state, incidents, audit_entries: lines } = verdict;
  const begin = [`${file}: ${valid ? 'valid' : 'not valid'}`, ...faults.map((fault) => `fault       ${fault}`)];
  if (state === undefined) return begin;
  const { signed_by: fleet, machine, history, standing, unverified_from: from } = state;
  return [
    ...begin,
    `proved by   ${by.length === 0 ? 'nothing that was checked' : by.join(' and ')}`,
    ...(fleet === undefined
      ? []
      : [
          `signed by   ${fleet} (${state.fleet_key ?? '-'}${isPinned ? '' : ', the key in the export: compare it'})`,
          `machine     ${machine}, history ${history}${standing === 'left' ? ', which it has left' : ''}; ` +
            (from === ''
              ? 'the fleet has verified every hash'
              : `from entry ${from} on the fleet has verified links, and no hashes`),
        ]),
    `log         ${state.log_id ?? '-'}, ${state.log_entries ?? '-'} entries, head ${state.log_last_hash ?? '-'}`,
    `holds       ${incidents} incidents (${state.omitted ?? '-'} left out), ${lines} lines`,
  ];
}
