/** The options that select incidents, for the list and the stream. */
import type { Command, Option } from 'commander';
import { CLASSES, SEVERITIES, STATES } from '../../machines/vocabulary.ts';
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
