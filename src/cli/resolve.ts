/** `incident-recorder resolve`: takes incidents to their end. */
import type { Command } from 'commander';
import { defineCommand } from './commands.ts';

export const define = (command: Command): Command =>
  defineCommand(
    command.description('Resolves incidents. An action that no other unresolved incident holds is released.'),
    'resolve',
  );
