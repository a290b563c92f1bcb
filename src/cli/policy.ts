/** `incident-recorder policy`: checks a policy file before it is in force. */
import type { Command } from 'commander';
import { define as defineCheck } from './policy-check.ts';
import { define as defineDiff } from './policy-diff.ts';
import { define as defineWhatif } from './policy-whatif.ts';

export const define = (command: Command): void => {
  command.description('Checks a containment policy before it is in force.');
  defineCheck(command.command('check').summary('say whether a policy would be taken'));
  defineDiff(command.command('diff').summary('compare a policy with the one in force'));
  defineWhatif(command.command('whatif').summary('try a policy on the incidents on record'));
};
