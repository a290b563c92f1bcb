/** `incident-recorder contain`: contains incidents by hand. */
import type { Command } from 'commander';
import { defineCommand } from './commands.ts';

export const define = (command: Command): Command =>
  defineCommand(command.description('Contains open incidents with the actions of their rule.'), 'contain');
