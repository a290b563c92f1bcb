/** `incident-recorder policy diff`: what a policy file would change in the policy in force. */
import type { Command } from 'commander';
import { type PolicyDocument, policyDocument } from '../policy/document.ts';
import { readPolicyFile } from './policy-file.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { writeNotice, writeJson, writeLines } from './terminal/output.ts';
import { table } from './terminal/table.ts';

/** One place where two policies differ; undefined where a policy says nothing. */
interface Difference {
  readonly place: string;
  readonly in_force: unknown;
  readonly file: unknown;
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description('Shows what a policy file would change in the policy in force.')
      .argument('<file>', 'a policy in YAML'),
  ).action(async (path: string, options: ApiOptions) => {
    const policy = await readPolicyFile(path);
    const inForce = await new ApiClient(options).readInDetail<PolicyDocument>('/api/v1/policy');
    const isWhole = inForce.addresses !== 'origin';
    const file = policyDocument(policy, isWhole ? 'whole' : 'origin');
    const differences = differencesOf('', contentOf(inForce), contentOf(file));
    if (options.json) {
      return writeJson({ file: path, digest: file.digest, in_force: inForce.digest, differences });
    }
    if (differences.length === 0) {
      return writeNotice(
        isWhole || file.digest === inForce.digest
          ? 'it says the same as the policy in force'
          : 'it differs in paths of addresses, which the recorder shows only with its token (--token-file)',
      );
    }
    return writeLines(
      table<Difference>(
        [
          { header: 'WHAT', value: ({ place }) => place },
          { header: 'IN FORCE', value: ({ in_force }) => shown(in_force), least: 12 },
          { header: 'FILE', value: (difference) => shown(difference.file), style: () => 'bold', least: 12 },
        ],
        differences,
      ),
    );
  });

/** What a policy decides, without where it was read.  */
const contentOf = ({
  source: _source,
  path: _path,
  digest: _digest,
  loaded_at: _loaded,
  addresses: _addresses,
  parts: _parts,
  ...content
}: PolicyDocument) => ({
  ...content,
  // No file takes away what the environment names.
  targets: Object.fromEntries(Object.entries(content.targets).filter(([, target]) => !('from' in target))),
});

function differencesOf(place: string, inForce: unknown, file: unknown): readonly Difference[] {
  if (isMapping(inForce) && isMapping(file)) {
    const names = [...new Set([...Object.keys(inForce), ...Object.keys(file)])];
    return names.flatMap((name) => differencesOf(place === '' ? name : `${place}.${name}`, inForce[name], file[name]));
  }
  return JSON.stringify(inForce) === JSON.stringify(file) ? [] : [{ place, in_force: inForce, file }];
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function shown(value: unknown): string {
  if (value === undefined) return '-';
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string'))
    return value.join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
