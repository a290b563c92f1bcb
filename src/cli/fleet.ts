/** `incident-recorder fleet`: runs the fleet, a program of its own that is not part of the recorder's package. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { RecorderError } from '../errors.ts';
import { defineViews } from './fleet-views.ts';

/** The fleet is next to the command line, in `dist` and in the sources. */
const FLEET = new URL(import.meta.url.endsWith('.ts') ? '../fleet/main.ts' : '../fleet.js', import.meta.url);

export const define = (command: Command): Command => {
  defineViews(command);
  return command
    .description(
      'Gathers the logs of many machines, shows them as one, and finds a past that was rewritten. Commands: serve, migrate, ' +
        'enrol NAME [--label KEY=VALUE], rotate NAME, revoke NAME, rename NAME NEW-NAME, pubkey, rebuild NAME, schema --citus. ' +
        'See src/fleet/README.md.',
    )
    .argument('[arguments...]', 'the command of the fleet, and what it takes')
    .allowUnknownOption()
    .action(async () => {
      if (!existsSync(fileURLToPath(FLEET)))
        throw new RecorderError(
          'config',
          'the fleet is a package of its own (incident-fleet), which is not installed here',
        );
      process.argv.splice(2, 1);
      await import(FLEET.href);
    });
};
