/** The options that select incidents, for the list and the stream. */
import type { Command, Option } from 'commander';
import { CLASSES, CONTAINMENT_STATUSES, SEVERITIES, STATES } from '../../machines/vocabulary.ts';
import { timestamp } from '../clock.ts';
import { parseDuration } from '../duration.ts';
import { UsageError } from './exit.ts';

export interface FilterOptions {
  readonly class?: readonly string[];
  readonly state?: readonly string[];
  readonly severity?: readonly string[];
}

export const withFilterOptions = (command: Command): Command =>
  command
    .addOption(emptyOrOneOf(CLASSES, command.createOption('--class <class...>', 'of these classes')))
    .addOption(emptyOrOneOf(STATES, command.createOption('--state <state...>', 'in these states')))
    .addOption(emptyOrOneOf(SEVERITIES, command.createOption('--severity <severity...>', 'of these severities')));

/** The filters of the list that are not a closed set of words. */
export interface ListFilterOptions extends FilterOptions {
  readonly source?: readonly string[];
  readonly attention?: boolean;
  readonly silenced?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly updatedSince?: string;
  readonly assignee?: readonly string[];
  readonly containment?: readonly string[];
  readonly snoozed?: boolean;
  readonly search?: string;
}

/**
 * Adds the filters of the list, of the groups and of commands on many incidents.
 * @param without options that mean something else for this command
 */
export const withListFilters = (command: Command, without: readonly '--until'[] = []): Command => {
  const filtered = withFilterOptions(command)
    .option('--source <source...>', 'reported by these')
    .option('--attention', 'that need attention: without silenced and snoozed ones')
    .option('--silenced', 'that a silence matches')
    .option('--no-silenced', 'that no silence matches')
    .option('--since <time>', 'reported since: RFC 3339, a day, or 2h, 7d');
  if (!without.includes('--until')) filtered.option('--until <time>', 'reported before');
  return filtered
    .option('--updated-since <time>', 'changed since')
    .option('--assignee <name...>', 'that one of these works; none for nobody')
    .addOption(
      emptyOrOneOf(
        CONTAINMENT_STATUSES,
        command.createOption('--containment <status...>', 'whose containment is one of these'),
      ),
    )
    .option('--snoozed', 'that are snoozed')
    .option('--no-snoozed', 'that are not snoozed')
    .option(
      '--search <words>',
      'with all these words in description, source, id, notes, people or evidence, agent* being the beginning of one; and with all terms like evidence.process.name:bash, source:, class:, id:, by:, assignee:',
    );
};

/** The filters as the API takes them: as parameters, and as members of the filter of a command. */
export const filtersOf = ({
  class: classes,
  state,
  severity,
  source,
  attention,
  silenced,
  since,
  until,
  updatedSince,
  assignee,
  containment,
  snoozed,
  search,
}: ListFilterOptions): Readonly<Record<string, string | readonly string[] | undefined>> => ({
  class: classes,
  state,
  severity,
  source,
  attention: attention === true ? 'true' : undefined,
  silenced: silenced === undefined ? undefined : String(silenced),
  since: since === undefined ? undefined : timeOf(since),
  until: until === undefined ? undefined : timeOf(until),
  updated_since: updatedSince === undefined ? undefined : timeOf(updatedSince),
  assignee,
  containment,
  snoozed: snoozed === undefined ? undefined : String(snoozed),
  q: search,
});

/** Limits an option to these choices. An empty text, from a variable that is not set, counts as left out, as in the API. */
export function emptyOrOneOf(choices: readonly string[], option: Option): Option {
  const parse = option.choices(choices).parseArg;
  return option.argParser((text: string, before: unknown) => (text === '' ? before : parse?.(text, before)));
}

const UNITS = ['s', 'm', 'h', 'd', 'w'] as const;

/**
 * Reads a time as people write it: RFC 3339, a day in UTC (`2026-11-22`), or how long ago (`90m`, `2h`, `7d`).
 * @returns RFC 3339; any other text unchanged, for the recorder to refuse
 */
export function timeOf(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return `${text}T00:00:00Z`;
  const age = parseDuration(text, UNITS);
  return age === undefined ? text : timestamp(Date.now() - age);
}

/** Reads a whole number from an option. @throws UsageError */
export const wholeNumber = (text: string): number => {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`a whole number is wanted, not ${JSON.stringify(text)}`);
  return Number(text);
};
