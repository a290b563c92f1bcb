/** `incident-recorder silence add`: adds a silence, and prints its identifier. */
import type { Command } from 'commander';
import { CLASSES } from '../../machines/vocabulary.ts';
import { timestamp } from '../clock.ts';
import type { ShownSilence } from '../domain/silence.ts';
import { parseDuration } from '../duration.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { UsageError } from './exit.ts';
import { isOnMachines, silenceMachines } from './silence-machines.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

interface Options extends ApiOptions {
  readonly duration: string;
  readonly start?: string;
  readonly end?: string;
  readonly comment: string;
  readonly author?: string;
  readonly confirm?: string;
}

const DESCRIPTION = `Silences the incidents that match, as they are at any moment, and prints the silence's identifier. A matcher is \
class=NAME, source=NAME, severity=NAME or q=WORDS, as in: class=prompt_injection source=tool-firewall. Matchers of one \
name are alternatives, others add up. A first word without = is a class. At a fleet each machine with the labels gets one of its \
own.`;

export const defineAdd = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .argument('<matcher...>', 'class=NAME, source=NAME, severity=NAME, or q=WORDS')
      .option('-d, --duration <time>', 'how long it lasts, like 90m, 2h, 1d12h', '1h')
      .option('--start <time>', 'when it begins: RFC 3339, or a day; now when not given')
      .option('--end <time>', 'when it ends, in place of a duration: RFC 3339, or a day')
      .requiredOption('-c, --comment <text>', 'why')
      .option('-a, --author <who>', 'who wants it')
      .option(
        '--confirm <count>',
        'at a fleet, with --label or several --machine: their number, when nobody can be asked',
      ),
  ).action(async (matchers: readonly string[], options: Options) => {
    const { duration, start, end, comment, author, confirm, ...rest } = options;
    const from = start === undefined ? undefined : momentOf(start, '--start');
    const until = end === undefined ? (from ?? Date.now()) + lengthOf(duration) : momentOf(end, '--end');
    const terms = {
      ...matchersIn(matchers),
      ...(from === undefined ? {} : { from: timestamp(from) }),
      until: timestamp(until),
      reason: comment,
      by: author,
    };
    if (isOnMachines(rest)) return silenceMachines(rest, 'add', terms, confirm);
    const silence = await new ApiClient(rest).command<ShownSilence>('/api/v1/silences', terms);
    return options.json ? writeJson(silence) : writeLines([printable(silence.id)]);
  });

/** The members of a silence that hold several values. */
const LISTS = ['class', 'source', 'severity'] as const;
type Matchers = { readonly [Name in (typeof LISTS)[number]]?: readonly string[] } & { readonly q?: string };

/** Reads matchers as the command line has them. @throws UsageError */
export function matchersIn(texts: readonly string[]): Matchers {
  const lists: Record<string, string[]> = {};
  const words: string[] = [];
  for (const [at, text] of texts.entries()) {
    const [, name = '', sign, value = ''] = /^([^=!~]*)(=~|!=|!~|=)(.*)$/su.exec(text) ?? [];
    if (sign === undefined && at === 0 && (CLASSES as readonly string[]).includes(text))
      (lists.class ??= []).push(text);
    else if (sign === undefined) throw new UsageError(`a matcher is like class=NAME, not ${JSON.stringify(text)}`);
    else if (sign !== '=')
      throw new UsageError(`${name}${sign} can't be matched: name values in full, as in ${name}=NAME`);
    else if (name === 'q') words.push(unquoted(value));
    else if ((LISTS as readonly string[]).includes(name)) (lists[name] ??= []).push(...valuesOf(name, value));
    else throw new UsageError(`${JSON.stringify(name)} can't be matched; it is class, source, severity, or q`);
  }
  return { ...(lists as Matchers), ...(words.length === 0 ? {} : { q: words.join(' ') }) };
}

/** Names of classes and severities may stand with commas between them; a source may hold commas. */
const valuesOf = (name: string, value: string): readonly string[] =>
  name === 'source' ? [unquoted(value)] : unquoted(value).split(',');

/** amtool takes values in quotation marks as well. */
const unquoted = (value: string): string => /^"(.*)"$/su.exec(value)?.[1] ?? value;

/** @returns milliseconds since the epoch @throws UsageError */
function momentOf(text: string, option: string): number {
  const isTime = /^\d{4}-\d\d-\d\d(T.*)?$/.test(text);
  const at = isTime ? Date.parse(text.length === 10 ? `${text}T00:00:00Z` : text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new UsageError(`${option} is a time like 2026-11-22T07:12:00Z, not ${JSON.stringify(text)}`);
}

const UNITS = ['s', 'm', 'h', 'd', 'w'] as const;

/** Reads a length of time, which may have several units: `1d12h`. @returns milliseconds @throws UsageError */
function lengthOf(text: string): number {
  const parts = /^(\d+[smhdw])+$/.test(text) ? (text.match(/\d+[smhdw]/g) ?? []) : [];
  const length = parts.reduce((sum, part) => sum + (parseDuration(part, UNITS) ?? 0), 0);
  if (length > 0) return length;
  throw new UsageError(`--duration is a length of time like 90m, 2h, 1d12h, not ${JSON.stringify(text)}`);
}
