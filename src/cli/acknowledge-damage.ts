/** `incident-recorder acknowledge-damage`: records that an operator has taken note of a finding about the audit log. */
import type { Command } from 'commander';
import { ApiClient, type OperatorOptions, withOperator } from './api-client.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Ends the warning about something that was found wrong with the audit log, and records who acknowledged it. /health \
names the findings (audit.findings). It mends nothing: what does not verify stays damage, and what is missing stays \
missing.`;

export const define = (command: Command): Command =>
  withOperator(
    command
      .description(DESCRIPTION)
      .argument('<finding>', 'the name of a finding, or its first part for all of that kind'),
  ).action(async (finding: string, { by, note, ...options }: OperatorOptions) => {
    const outcome = await new ApiClient(options).command<{ readonly acknowledged: readonly string[] }>(
      '/api/v1/log/acknowledge-damage',
      { finding, by, note },
    );
    await (options.json
      ? writeJson(outcome)
      : writeLines(outcome.acknowledged.map((name) => printable(`acknowledged ${name}`))));
  });
