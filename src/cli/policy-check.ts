/** `incident-recorder policy check`: whether the recorder would accept a policy file, and if not every fault. */
import type { Command } from 'commander';
import { EXIT } from './exit.ts';
import { readPolicyFile } from './policy-file.ts';
import { withJson } from './api-client.ts';
import { writeNotice, writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

interface Options {
  readonly json?: true;
}

interface Fault {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

export const define = (command: Command): Command =>
  withJson(
    command
      .description('Checks a policy file, and prints every fault with its line. Needs no recorder.')
      .argument('<file>', 'a policy in YAML'),
  ).action(async (file: string, { json }: Options) => {
    try {
      const { digest } = await readPolicyFile(file);
      await (json
        ? writeJson({ file, valid: true, digest })
        : writeLines([printable(`${file}: valid, digest ${digest}`)]));
    } catch (error) {
      const { fields } = error as { readonly fields?: { readonly faults?: readonly Fault[] } };
      if (fields?.faults === undefined) throw error;
      process.exitCode = EXIT.refused;
      if (json) await writeJson({ file, valid: false, faults: fields.faults });
      else writeNotice((error as Error).message);
    }
  });
