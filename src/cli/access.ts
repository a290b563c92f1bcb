/** `incident-recorder access …`: who may do what. */
import type { Command } from 'commander';
import { define as defineCheck } from './access-check.ts';
import { define as defineNew } from './access-new.ts';
import { define as defineWhoami } from './access-whoami.ts';

export const define = (command: Command): void => {
  command.description('Checks the access file, adds principals to it, and says whose token it is.');
  defineCheck(command.command('check').summary('say whether an access file would be taken, and who may do what'));
  defineNew(command.command('new').summary('make a token for a new principal'));
  defineWhoami(command.command('whoami').summary('say whose token it is, and what they may do'));
};
