/** `incident-recorder heartbeat`: shows the recorder that a guard lives. */
import type { Command } from 'commander';
import type { GuardStatus } from '../incidents/guard-watch.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description('Shows the recorder that a guard lives: a source that the policy expects to hear from (expect).')
      .argument('<source>', 'the name by which the policy expects it'),
  ).action(async (source: string, options: ApiOptions) => {
    const guard = await new ApiClient(options).command<GuardStatus>('/api/v1/heartbeat', { source });
    if (options.json) return writeJson(guard);
    return writeLines([printable(`${guard.source} is heard, and expected again within ${guard.every_seconds} s`)]);
  });
