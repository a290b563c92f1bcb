/** `incident-recorder policy check`: whether the recorder would accept a policy file, and if not every fault. */
import type { Command } from 'commander';
import type { PolicyDocument } from '../policy/document.ts';
import { removedParts } from '../policy/parts.ts';
import { EXIT } from './exit.ts';
import { readPolicyFile } from './policy-file.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { writeNotice, writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

interface Options extends ApiOptions {
  readonly againstRunning?: true;
}

interface Fault {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

const DESCRIPTION = `Checks a policy file, and prints every fault with its line. Needs no recorder, but with --against-running: then it also \
names what the policy in force has and the file has not, which a reload would take away.`;

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .argument('<file>', 'a policy in YAML')
      .option('--against-running', 'name what it would take away from the policy in force'),
  ).action(async (file: string, { againstRunning, ...options }: Options) => {
    try {
      const { digest, parts } = await readPolicyFile(file);
      const removed = againstRunning ? removedParts(await partsInForce(options), parts) : undefined;
      await (options.json
        ? writeJson({ file, valid: true, digest, removed })
        : writeLines([`${file}: valid, digest ${digest}`, ...(removed ? describe(removed) : [])].map(printable)));
    } catch (error) {
      const { fields } = error as { readonly fields?: { readonly faults?: readonly Fault[] } };
      if (fields?.faults === undefined) throw error;
      process.exitCode = EXIT.refused;
      if (options.json) await writeJson({ file, valid: false, faults: fields.faults });
      else writeNotice((error as Error).message);
    }
  });

/** @throws Refused, NotReachable */
async function partsInForce(options: ApiOptions): Promise<readonly string[]> {
  const { parts } = await new ApiClient(options).read<Partial<Pick<PolicyDocument, 'parts'>>>('/api/v1/policy');
  if (parts === undefined) throw new Error('the recorder is an older one, which does not say what its policy has');
  return parts;
}

const describe = (removed: readonly string[]): readonly string[] =>
  removed.length === 0
    ? ['it takes nothing away from the policy in force']
    : ['it takes away what the policy in force has:', ...removed.map((part) => `  ${part}`)];
