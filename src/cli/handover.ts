/** `incident-recorder handover`: what has changed since one left, without the noise of deliveries. */
import type { Command } from 'commander';
import { callerWords } from '../domain/caller.ts';
import { Refused } from '../client/errors.ts';
import type { ChangedIncident, ChangeEvent, ChangesPage } from '../query/incident-changes.ts';
import { SEVERITIES } from '../../machines/vocabulary.ts';
import { ApiClient, type ApiOptions, withApiClient, withQuery } from './api-client.ts';
import { UsageError } from './exit.ts';
import { timeOf } from './filter-options.ts';
import { fileFor, keepPlace, placeKept } from './handover-place.ts';
import { ageOf } from './terminal/age.ts';
import { SEVERITY_STYLES, STATE_STYLES, styled } from './terminal/colour.ts';
import { counted } from './terminal/counted.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION =
  'Shows what has changed since a time or an entry: new and further reports, changes of state, notes, early releases, what \
failed or is overdue, and what concerns the recorder itself. --last goes on where the last handover with --last has \
ended, and keeps the new place in $XDG_STATE_HOME/incident-recorder. At a fleet it is about all machines, or those that are \
named, and what the fleet has taken since counts.';

/** What an answer says: numbers of entries, or at a fleet places in its logs, and the machine of each. */
type Place = number | string;
type OfMachine<Said> = Said & { readonly machine?: string };
type Page = Omit<ChangesPage, 'after' | 'through' | 'next' | 'changes' | 'others'> & {
  readonly after: Place;
  readonly through: Place;
  readonly next?: Place;
  readonly changes: readonly OfMachine<ChangedIncident>[];
  readonly others: readonly OfMachine<ChangeEvent>[];
};

const isPlace = (text: string): boolean => /^(?:\d{1,15}(?:\.[\w-]{12}:\d{1,15})*|p[\w-]+)$/.test(text);

/** The status for entries that are not in the log any more. */
const GONE = 410;

interface Options extends ApiOptions {
  readonly since?: string;
  readonly after?: string;
  readonly last?: true;
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .option('--since <time>', 'RFC 3339, a day like 2026-11-22, or 8h for that long ago')
      .option(
        '--after <seq>',
        'what is behind the entry with this sequence number; at a fleet, behind a place in its logs',
      )
      .option('--last', 'what is behind the last handover; the first time, of the last day'),
  ).action(async ({ since, after, last, ...options }: Options) => {
    if ([since, after, last].filter((given) => given !== undefined).length > 1) {
      throw new UsageError('give one of --since, --after and --last');
    }
    if (after !== undefined && !isPlace(after))
      throw new UsageError('--after takes a whole number, or a place of a fleet');
    const api = new ApiClient(options);
    const file = last === true ? fileFor(await api.fleetName(), api.scope) : '';
    const kept = last === true ? placeKept(file) : after;
    const changes = await read(api, kept, timeOf(since ?? '1d')).catch((error: unknown) => {
      if (last !== true) throw error;
      return read(api, String(beginningIn(error)), '');
    });
    await (options.json ? writeJson(changes) : writeLines(linesOf(changes, Date.now())));
    if (last === true) keepPlace(file, changes.through);
  });

/**
 * The place in front of all that the log still has, when the place that was kept is not in it any more, and says so.
 * @throws what it is given, when that is another error
 */
function beginningIn(error: unknown): number {
  if (!(error instanceof Refused) || error.status !== GONE || typeof error.body.first_seq !== 'number') throw error;
  writeNotice(`${String(error.body.error)}; here is all that the log still has`);
  return Math.max(0, error.body.first_seq - 1);
}

/** All pages in one. */
async function read(api: ApiClient, after: string | undefined, since: string): Promise<Page> {
  const begin = after === undefined ? { since } : { after };
  let page = await api.read<Page>(withQuery('/api/v1/incidents/changes', begin));
  const { after: begun, archived_through } = page;
  const changes = new Map<string, Page['changes'][number]>();
  const others: Page['others'][number][] = [];
  for (;;) {
    for (const one of page.changes) {
      const key = `${one.machine} ${one.id}`;
      changes.set(key, together(changes.get(key), one));
    }
    others.push(...page.others);
    if (page.next === undefined) break;
    page = await api.read<Page>(withQuery('/api/v1/incidents/changes', { after: String(page.next) }));
  }
  const { through, complete } = page;
  const archived = archived_through === undefined ? {} : { archived_through };
  return { after: begun, through, changes: [...changes.values()], others, complete, ...archived };
}

/** What two pages say of an incident. */
function together(before: Page['changes'][number] | undefined, one: Page['changes'][number]): Page['changes'][number] {
  if (before === undefined) return one;
  const now = Object.fromEntries(Object.entries(one).filter(([name]) => name !== 'was')) as typeof one;
  return {
    ...now,
    ...(before.was === undefined ? {} : { was: before.was }),
    events: [...before.events, ...one.events],
  };
}

function linesOf(page: Page, now: number): readonly string[] {
  const { changes, others, archived_through } = page;
  const sorted = changes.toSorted((one, other) => rankOf(one) - rankOf(other) || one.seq - other.seq);
  return [
    `${counted(changes.length, 'incident has', 'incidents have')} changed${rangeOf(page)}`,
    ...(archived_through === undefined ? [] : [`the entries up to ${archived_through} are archived`]),
    ...sorted.flatMap((one) => ['', headOf(one), ...one.events.map((event) => eventLine(event, now))]),
    ...(others.length === 0
      ? []
      : [
          '',
          styled('bold', typeof page.through === 'string' ? 'The recorders' : 'The recorder'),
          ...others.map((event) => eventLine(event, now)),
        ]),
  ];
}

/** From where to where it goes: entries, or at a fleet until when. */
function rangeOf({ after, through, changes }: Page): string {
  if (typeof after === 'number' && typeof through === 'number')
    return through === after ? `: nothing is behind entry ${after}` : `: entries ${after + 1} to ${through}`;
  const machines = new Set(changes.map(({ machine }) => machine)).size;
  const on = machines === 0 ? '' : ` on ${counted(machines, 'machine')}`;
  return `${on}, until ${new Date(Number.parseInt(String(through), 10)).toISOString()}`;
}

/** Unresolved incidents first, the most severe before the others. */
const rankOf = ({ severity = 'low', state }: ChangedIncident): number =>
  SEVERITIES.indexOf(severity) + (state === 'resolved' ? SEVERITIES.length : 0);

function headOf(incident: OfMachine<ChangedIncident>): string {
  const { id, severity, state, was, source, description, containment_status, recovery_missing, assignee } = incident;
  const moved = was === undefined ? 'new, ' : was === state ? '' : `${printable(was)} → `;
  return [
    printable(id),
    ...(incident.machine === undefined ? [] : [printable(incident.machine)]),
    ...(severity === undefined ? [] : [styled(SEVERITY_STYLES[severity], printable(severity))]),
    ...(state === undefined ? [] : [`${moved}${styled(STATE_STYLES[state], printable(state))}`]),
    ...(containment_status === 'overdue' || containment_status === 'degraded' ? [containment_status] : []),
    ...(recovery_missing === undefined ? [] : ['needs recovery']),
    ...(incident.class === undefined ? [] : [printable(incident.class)]),
    ...(source === undefined ? [] : [printable(source)]),
    ...(assignee === undefined ? [] : [`assigned to ${printable(assignee)}`]),
    ...(description === undefined ? [] : [printable(description)]),
  ].join('  ');
}

/** What of an event is shown, besides who and why. */
const DETAILS: readonly string[] = [
  'action',
  'to',
  'until',
  'as',
  'resolution',
  'attention',
  'finding',
  'silence',
  'class',
  'source',
  'severity',
  'q',
  'url',
];

/** An event of any version: what is not known of it is shown by its name. */
function eventLine(event: OfMachine<ChangeEvent>, now: number): string {
  const who = callerWords(event);
  return [
    `  ${ageOf(event.at, now).padStart(4)} ago`,
    ...(event.machine === undefined ? [] : [printable(event.machine)]),
    printable(event.event.replaceAll('.', ' ').replaceAll('_', ' ')),
    ...(event.count === undefined ? [] : [counted(event.count, 'time')]),
    ...DETAILS.flatMap((name) =>
      event[name] === undefined || isInHead(name, event) ? [] : [printable(wordOf(event[name]))],
    ),
    ...(who === undefined ? [] : [`by ${printable(who)}`]),
    ...(event.note === undefined ? [] : [printable(event.note)]),
  ].join('  ');
}

/** The severity of an incident is in its first line; a silence has a list of them. */
const isInHead = (name: string, event: ChangeEvent): boolean => name === 'severity' && !Array.isArray(event[name]);

const wordOf = (value: unknown): string => {
  if (typeof value === 'string') return value;
  const isList = Array.isArray(value) && value.every((one) => typeof one === 'string');
  return isList ? value.join(',') : JSON.stringify(value);
};
