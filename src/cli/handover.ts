/** `incident-recorder handover`: what has changed since one left, without the noise of deliveries. */
import type { Command } from 'commander';
import { callerWords } from '../domain/caller.ts';
import type { ChangedIncident, ChangeEvent, ChangesPage } from '../incidents/incident-changes.ts';
import { SEVERITIES } from '../../machines/vocabulary.ts';
import { ApiClient, type ApiOptions, withApiClient, withQuery } from './api-client.ts';
import { UsageError } from './exit.ts';
import { timeOf } from './filter-options.ts';
import { keepPlace, placeKept } from './handover-place.ts';
import { ageOf } from './terminal/age.ts';
import { SEVERITY_STYLES, STATE_STYLES, styled } from './terminal/colour.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION =
  'Shows what has changed since a time or an entry: new and further reports, changes of state, notes, early releases, what \
failed or is overdue, and what concerns the recorder itself. --last goes on where the last handover with --last has \
ended, and keeps the new place in $XDG_STATE_HOME/incident-recorder.';

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
      .option('--after <seq>', 'what is behind the entry with this sequence number')
      .option('--last', 'what is behind the last handover; the first time, of the last day'),
  ).action(async ({ since, after, last, ...options }: Options) => {
    if ([since, after, last].filter((given) => given !== undefined).length > 1) {
      throw new UsageError('give one of --since, --after and --last');
    }
    if (after !== undefined && !/^\d{1,15}$/.test(after)) throw new UsageError('--after takes a whole number');
    const kept = last === true ? placeKept() : after;
    const changes = await read(new ApiClient(options), kept, timeOf(since ?? '1d'));
    await (options.json ? writeJson(changes) : writeLines(linesOf(changes, Date.now())));
    if (last === true) keepPlace(changes.through);
  });

/** All pages in one. */
async function read(api: ApiClient, after: string | undefined, since: string): Promise<ChangesPage> {
  const begin = after === undefined ? { since } : { after };
  let page = await api.read<ChangesPage>(withQuery('/api/v1/incidents/changes', begin));
  const { after: begun, archived_through } = page;
  const changes = new Map<string, ChangedIncident>();
  const others: ChangeEvent[] = [];
  for (;;) {
    for (const one of page.changes) changes.set(one.id, together(changes.get(one.id), one));
    others.push(...page.others);
    if (page.next === undefined) break;
    page = await api.read<ChangesPage>(withQuery('/api/v1/incidents/changes', { after: String(page.next) }));
  }
  const { through, complete } = page;
  const archived = archived_through === undefined ? {} : { archived_through };
  return { after: begun, through, changes: [...changes.values()], others, complete, ...archived };
}

/** What two pages say of an incident. */
function together(before: ChangedIncident | undefined, one: ChangedIncident): ChangedIncident {
  if (before === undefined) return one;
  const now = Object.fromEntries(Object.entries(one).filter(([name]) => name !== 'was')) as ChangedIncident;
  return {
    ...now,
    ...(before.was === undefined ? {} : { was: before.was }),
    events: [...before.events, ...one.events],
  };
}

function linesOf({ after, through, changes, others, archived_through }: ChangesPage, now: number): readonly string[] {
  const range = through === after ? `nothing is behind entry ${after}` : `entries ${after + 1} to ${through}`;
  const counted = `${changes.length} ${changes.length === 1 ? 'incident has' : 'incidents have'} changed`;
  const sorted = changes.toSorted((one, other) => rankOf(one) - rankOf(other) || one.seq - other.seq);
  return [
    `${counted}: ${range}`,
    ...(archived_through === undefined ? [] : [`the entries up to ${archived_through} are archived`]),
    ...sorted.flatMap((one) => ['', headOf(one), ...one.events.map((event) => eventLine(event, now))]),
    ...(others.length === 0
      ? []
      : ['', styled('bold', 'The recorder'), ...others.map((event) => eventLine(event, now))]),
  ];
}

/** Unresolved incidents first, the most severe before the others. */
const rankOf = ({ severity = 'low', state }: ChangedIncident): number =>
  SEVERITIES.indexOf(severity) + (state === 'resolved' ? SEVERITIES.length : 0);

function headOf(incident: ChangedIncident): string {
  const { id, severity, state, was, source, description, containment_status, recovery_missing, assignee } = incident;
  const moved = was === undefined ? 'new, ' : was === state ? '' : `${was} → `;
  return [
    printable(id),
    ...(severity === undefined ? [] : [styled(SEVERITY_STYLES[severity], severity)]),
    ...(state === undefined ? [] : [`${moved}${styled(STATE_STYLES[state], state)}`]),
    ...(containment_status === 'overdue' || containment_status === 'degraded' ? [containment_status] : []),
    ...(recovery_missing === undefined ? [] : ['needs recovery']),
    ...(incident.class === undefined ? [] : [printable(incident.class)]),
    ...(source === undefined ? [] : [printable(source)]),
    ...(assignee === undefined ? [] : [`assigned to ${printable(assignee)}`]),
    ...(description === undefined ? [] : [printable(description)]),
  ].join('  ');
}

/** An event of any version: what is not known of it is shown by its name. */
function eventLine(event: ChangeEvent, now: number): string {
  const who = callerWords(event);
  const details = ['action', 'to', 'until', 'as', 'resolution', 'attention', 'finding', 'silence', 'source', 'url'];
  return [
    `  ${ageOf(event.at, now).padStart(4)} ago`,
    printable(event.event.replaceAll('.', ' ').replaceAll('_', ' ')),
    ...(event.count === undefined ? [] : [`${event.count} times`]),
    ...details.flatMap((name) => (event[name] === undefined ? [] : [printable(wordOf(event[name]))])),
    ...(who === undefined ? [] : [`by ${printable(who)}`]),
    ...(event.note === undefined ? [] : [printable(event.note)]),
  ].join('  ');
}

const wordOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
