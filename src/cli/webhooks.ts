/** `incident-recorder webhooks`: the entries that webhooks did not take. */
import type { Command } from 'commander';
import { define as defineRetry } from './webhooks-retry.ts';
import { define as defineSkipped } from './webhooks-skipped.ts';

export const define = (command: Command): void => {
  command.description('Shows which entries webhooks did not take, and sends them again.');
  defineSkipped(command.command('skipped').summary('list the entries that are not sent any more'));
  defineRetry(command.command('retry').summary('send an entry again'));
};
