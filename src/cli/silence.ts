/** `incident-recorder silence`: keeps incidents from being notified for a time. */
import type { Command } from 'commander';
import { defineAdd } from './silence-add.ts';
import { defineEnd } from './silence-end.ts';
import { defineList } from './silence-list.ts';

const DESCRIPTION = `Silences incidents by class, source, severity and words for a time. They are recorded and contained as always; webhooks \
that notify people do not get them, and they do not count as needing attention. Commands and options are those of amtool, \
as far as they fit.`;

export const define = (command: Command): void => {
  command.description(DESCRIPTION);
  defineAdd(command.command('add').summary('add a silence'));
  defineList(command.command('list').alias('query').summary('list silences'));
  defineEnd(command.command('end').aliases(['expire', 'remove']).summary('end silences before their time'));
};
