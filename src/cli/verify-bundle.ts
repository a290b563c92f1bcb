/** `incident-recorder verify-bundle`: checks an evidence bundle offline. */
import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { chainHash } from '../audit/chain-hash.ts';
import { readKey } from '../audit/key.ts';
import { type BundledMachine, LONGEST_BUNDLE } from '../bundle/format.ts';
import { type BundleVerdict, verifyBundle } from '../bundle/verify-bundle.ts';
import { withJson } from './api-client.ts';
import type { Verifier } from '../signed-note.ts';
import { fleetKeyIn } from './fleet-key.ts';
import { EXIT, UsageError } from './exit.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Checks a bundle that export has saved, without the recorder: every field against the manifest, the place of every line \
in the log, and what the bundle is proved by. With the audit key that is the recorder that wrote the log, and each line \
verifies, too. Without it, it is the signature: compare the printed fingerprint with one that the recorder's operators \
gave you, or name their public key with --public-key. --fleet-key is the public key of the fleet that has signed how far the \
log went (incident-recorder fleet pubkey): so the log was not begun again before.

A bundle that a fleet has made is signed by that fleet: --fleet-key is the key that must have signed it. The audit key of the \
machine then verifies its lines; give --key again for each earlier key of a log that was rotated.

Exit code 1: something was changed, or nothing shows who made it.`;

interface Options {
  readonly key?: readonly string[];
  readonly publicKey?: string;
  readonly fleetKey?: readonly string[];
  readonly json?: true;
}

export const define = (command: Command): Command =>
  withJson(
    command
      .description(DESCRIPTION)
      .argument('<file>', 'the bundle')
      .option('--key <file>', 'the audit key; may be repeated for lines from before a rotation', listed, [])
      .option('--public-key <file>', 'the key that must have signed it, PEM')
      .option(
        '--fleet-key <key>',
        'the key of the fleet that must have signed its anchor, or all of it, or a file with it; may be repeated',
        listed,
        [],
      ),
  ).action(async (file: string, { key = [], publicKey, fleetKey = [], json }: Options) => {
    const [hash, ...others] = key.map((one) => chainHash(readKey(one)));
    const verdict = verifyBundle(readBundleFile(file), {
      hash,
      others,
      publicKey: publicKey === undefined ? undefined : readText(publicKey),
      fleet: fleetKey.map(fleetKeyGiven),
    });
    if (!verdict.valid) process.exitCode = EXIT.refused;
    await (json
      ? writeJson({ file, ...verdict })
      : writeLines(describe(file, verdict, publicKey !== undefined, fleetKey.length > 0).map(printable)));
  });

const listed = (one: string, before: readonly string[]): readonly string[] => [...before, one];

/** @throws UsageError when it is none */
export function fleetKeyGiven(text: string): Verifier {
  try {
    return fleetKeyIn(text);
  } catch (error) {
    throw new UsageError(`--fleet-key: ${(error as Error).message}`);
  }
}

/** @throws UsageError when it can't be read */
export function readBundleFile(file: string): Buffer {
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw new UsageError(`${file} is not there`);
  if (size > LONGEST_BUNDLE) throw new UsageError(`${file} is longer than any bundle`);
  return readFileSync(file);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} can't be read (${String((error as NodeJS.ErrnoException).code)})`);
  }
}

function describe(
  file: string,
  verdict: BundleVerdict,
  hasPublicKey: boolean,
  hasFleetKey: boolean,
): readonly string[] {
  const { valid, faults, manifest, fields, left_out: out, proved_by: by, signer } = verdict;
  const lines = [`${file}: ${valid ? 'valid' : 'not valid'}`, ...faults.map((fault) => `fault       ${fault}`)];
  if (manifest === undefined) return lines;
  const { log, incidents, made_at: madeAt, signed_by: fleet, machine } = manifest;
  const isPinned = hasPublicKey || (fleet !== undefined && hasFleetKey);
  const whose = isPinned ? 'the key that you named' : 'the key in the bundle: compare its fingerprint';
  return [
    ...lines,
    `proved by   ${by.length === 0 ? 'nothing that was checked' : by.join(' and ')}`,
    ...(signer === undefined ? [] : [`signer      ${signer} (${whose})`]),
    ...(fleet === undefined ? [] : [`signed by   fleet ${fleet.fleet} (${fleet.key}), not by the recorder`]),
    ...(machine === undefined ? [] : [`machine     ${machineWords(machine)}`]),
    `made        ${madeAt}`,
    `log         ${log.id ?? '-'}, ${log.head.seq} entries, head ${log.head.entry_hash}`,
    `tree        entries ${log.tree.first} to ${log.tree.first + log.tree.size - 1}, root ${log.tree.root}`,
    `anchor      ${anchorWords(verdict, madeAt)}`,
    ...incidents.map(
      ({ id, version, entries, missing }) =>
        `incident    ${id}, version ${version}, ${entries.length} lines${missing === undefined ? '' : `; ${missing.entries} are not here: ${missing.reason}`}`,
    ),
    `fields      ${fields}${out.length === 0 ? '' : `; ${out.length} left out: ${out.join(', ')}`}`,
  ];
}

function machineWords({ name, history, standing, diverged, unverified_from: from }: BundledMachine): string {
  return [
    `${name}, history ${history}${standing === 'left' ? ', which it has left' : ''}`,
    ...(diverged === null ? [] : [`differs from history ${diverged.from} from entry ${diverged.at_seq} on`]),
    from === null
      ? 'the fleet has verified every hash'
      : `from entry ${from} on the fleet has verified links, and no hashes`,
  ].join('; ');
}

function anchorWords({ anchor, manifest }: BundleVerdict, madeAt: string): string {
  if (anchor === undefined) {
    return manifest?.log.anchor === null
      ? manifest.signed_by === undefined
        ? `none: that the log was not begun again before ${madeAt} is not shown`
        : 'none but the signature itself'
      : 'not valid';
  }
  const { fleet, machine, seq, time, signature, covers } = anchor;
  const signed = signature === 'verified' ? 'signature verified' : 'signature not checked (--fleet-key)';
  const all = covers === 'log' ? `all entries up to ${seq}` : `entry ${seq} (those before it are archived)`;
  return `${fleet} has signed ${all} of ${machine} at ${time}; ${signed}`;
}
