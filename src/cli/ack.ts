/** `incident-recorder ack`: a person has seen incidents. */
import type { Command } from 'commander';
import { defineCommand } from './commands.ts';

export const define = (command: Command): Command =>
  defineCommand(
    command.description('Acknowledges incidents: they have been seen by a person. Containment stays in force.'),
    'acknowledge',
  );
