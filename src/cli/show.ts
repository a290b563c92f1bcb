/** `incident-recorder show`: one incident, its history, and what can be done next. */
import type { Command } from 'commander';
import type { NextTransition } from '../../machines/transitions.ts';
import { STATES } from '../../machines/vocabulary.ts';
import { escalationText } from '../domain/escalation.ts';
import type { Delivery, Incident } from '../client/shapes.ts';
import { isTimeUncertain, jumpsBetween } from '../domain/clock-jumps.ts';
import type { ClockJump } from '../domain/entries.ts';
import { type AuditEntry, detailOf } from './audit-entry.ts';
import { ApiClient, type ApiOptions, withQuery, withApiClient } from './api-client.ts';
import { recoveryLines } from './missing-recovery.ts';
import { isReleased, stateStyle, summaryOf } from './summary.ts';
import { ageOf, timeLeft } from './terminal/age.ts';
import { styled, TROUBLE_STYLE } from './terminal/colour.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable, printableLines } from './terminal/printable.ts';
import { table } from './terminal/table.ts';

interface Withholding {
  /** What the reader does not get. */
  readonly withheld?: readonly string[];
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description('Shows an incident: its record, its deliveries, its place in the statechart, its timeline.')
      .argument('<id>', 'identifier of an incident'),
  ).action(async (id: string, options: ApiOptions) => {
    const api = new ApiClient(options);
    const incident = await api.read<IncidentAsRead & Withholding>(withQuery('/api/v1/incidents/get', { id }));
    const { transitions } = await api.read<{ readonly transitions: readonly NextTransition[] }>(
      withQuery('/api/v1/incidents/transitions', { id }),
    );
    const history: AuditEntry[] = [];
    for await (const page of api.pages<AuditEntry>(withQuery('/api/v1/incidents/history', { id })))
      history.push(...page);
    const { clock } = await api.readHealth<{ readonly clock?: { readonly jumps: readonly ClockJump[] } }>();
    const jumps = clock?.jumps ?? [];
    if (options.json) return writeJson({ incident, transitions, history });
    return writeLines([
      summaryOf(incident),
      '',
      ...recordOf(incident, Date.now()),
      ...section('Notes', notesOf(incident)),
      ...section('Containment', [
        ...deliveriesOf(incident.containment?.actions),
        ...(incident.containment?.actions ?? []).flatMap(releasedEarly),
      ]),
      ...section('Releases', deliveriesOf(incident.drill_releases)),
      ...section('Recovery', recoveryLines(incident.recovery, id)),
      ...section('Statechart', chartOf(incident, history, transitions)),
      ...section('Timeline', [...earlierOf(history), ...timelineOf(history, jumps)]),
    ]);
  });

/** The incident, with what the policy in force says about what to do. */
type IncidentAsRead = Incident & { readonly runbook?: string };

const section = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : ['', styled('bold', title), ...lines];

function recordOf(incident: IncidentAsRead & Withholding, now: number): readonly string[] {
  const { created_at, updated_at, evidence, last_seen_at, latest_report: latest } = incident;
  const { snoozed_until, snoozed_by } = incident;
  const time = (text: string): string => `${text} (${ageOf(text, now)} ago)`;
  const fields: readonly (readonly [string, string | number | undefined])[] = [
    ['machine', incident.machine],
    ['drill', incident.drill && 'a rehearsal: it counts nowhere'],
    ['source', incident.source],
    ['runbook', incident.runbook],
    ['suspicious', incident.source_suspicious && 'the source mixes scripts, or looks like another one'],
    ['reported by', incident.reported_by],
    ['uncertain', incident.clock_uncertain && 'the clock had jumped: times may be wrong'],
    ['description', incident.description],
    ['lowered', incident.default_severity && `its class is ${incident.default_severity}`],
    ['reported as', incident.reported_severity],
    ['escalated', incident.escalated_by && escalationText(incident.escalated_by)],
    ['latest', latest && `${latest.severity}  ${latest.description}`],
    ['reported', time(created_at)],
    ['updated', updated_at === created_at ? undefined : time(updated_at)],
    ['occurrences', incident.occurrences === 1 ? undefined : incident.occurrences],
    ['last seen', last_seen_at === undefined ? undefined : time(last_seen_at)],
    ['dedup key', incident.dedup_key],
    ['resolution', incident.resolution],
    ['assigned', incident.assignee && assignmentOf(incident, now)],
    [
      'snoozed',
      snoozed_until &&
        `until ${snoozed_until} (for ${timeLeft(snoozed_until, now)})${byWhom(snoozed_by, incident.snoozed_by_claimed)}`,
    ],
    ['reopens', incident.reopens],
    ['reopened', incident.reopened_as && `as ${incident.reopened_as}${sinceWhen(incident.reopened_at, now)}`],
    ['note', incident.note],
    ['version', incident.version],
    ['hash', incident.hash],
  ];
  const lines = fields.flatMap(([name, value]) => (value === undefined ? [] : [field(name, printable(`${value}`))]));
  for (const [name, value] of [
    ['evidence', evidence],
    ['latest evidence', latest?.evidence],
  ] as const) {
    if (value !== undefined) lines.push(field(name, ''), ...indented(printableLines(value)));
  }
  if (incident.withheld?.some((what) => what.endsWith('evidence')) === true) {
    lines.push(
      field('evidence', 'restricted: give a token with the role auditor, operator or recovery (--token-file)'),
    );
  }
  return lines;
}

const byWhom = (name: string | undefined, claimed?: true): string =>
  name === undefined ? '' : ` by ${name}${claimed === true ? ' (claimed)' : ''}`;

const sinceWhen = (at: string | undefined, now: number): string => (at === undefined ? '' : ` (${ageOf(at, now)} ago)`);

const assignmentOf = (
  { assignee = '', assigned_at, assigned_by, assigned_by_claimed: claimed }: Incident,
  now: number,
): string =>
  `${assignee}${byWhom(assigned_by === assignee ? undefined : assigned_by, claimed)}${sinceWhen(assigned_at, now)}`;

/** The notes, the newest last, when there are several; a single one is in the record. */
function notesOf({ notes = [], notes_count: count = 0 }: Incident): readonly string[] {
  if (count < 2) return [];
  const lines = notes.flatMap(({ at, by, claimed, role, note }) => [
    [
      at,
      ...(by === undefined ? [] : [`${printable(by)}${claimed === true ? ' (claimed)' : ''}`]),
      ...(role === undefined ? [] : [`as ${role}`]),
    ].join('  '),
    ...indented(note.split('\n').map(printable)),
  ]);
  return count === notes.length ? lines : [`the newest ${notes.length} of ${count}`, ...lines];
}

const field = (name: string, value: string): string => `${name.padEnd(12)} ${value}`.trimEnd();

const indented = (lines: readonly string[]): readonly string[] => lines.map((line) => `  ${line}`);

/** The statuses of deliveries that an operator has to look at. */
const TROUBLED: readonly Delivery['status'][] = ['failed', 'lost', 'needs_person'];

const deliveriesOf = (deliveries: readonly Delivery[] | undefined): readonly string[] =>
  deliveries === undefined || deliveries.length === 0
    ? []
    : table<Delivery>(
        [
          { header: 'ACTION', value: ({ action }) => action },
          {
            header: 'STATUS',
            value: ({ status, overdue_at, released_early }) =>
              released_early !== undefined
                ? 'released early'
                : overdue_at === undefined
                  ? status
                  : `overdue (${status})`,
            style: ({ status, overdue_at }) =>
              overdue_at !== undefined || TROUBLED.includes(status) ? TROUBLE_STYLE : undefined,
          },
          { header: 'ATTEMPTS', value: ({ attempts }) => String(attempts) },
          { header: 'ASKED FOR', value: ({ asked_at }) => asked_at },
          { header: 'CONFIRMED', value: ({ confirmed_at }) => confirmed_at ?? '' },
          { header: 'NEXT ATTEMPT', value: ({ next_attempt_at }) => next_attempt_at ?? '' },
          { header: 'LAST ERROR', value: ({ last_error }) => last_error ?? '', least: 12, optional: true },
        ],
        deliveries,
      );

/** Who released an action early, when and why. */
const releasedEarly = ({ action, released_early: released }: Delivery): readonly string[] => {
  if (released === undefined) return [];
  const who = byWhom(released.by && printable(released.by), released.claimed);
  return [`${action} was released early${who} at ${released.at}: ${printable(released.reason)}`];
};

/** The states in order: past ones, the present one with the transitions from there, and the others. */
function chartOf(
  { state, containment }: Incident,
  history: readonly AuditEntry[],
  transitions: readonly NextTransition[],
): readonly string[] {
  const entered = new Map<string, string>();
  for (const { timestamp, data } of history) {
    if (typeof data.state === 'string' && !entered.has(data.state)) entered.set(data.state, timestamp);
  }
  return STATES.flatMap((name) => {
    const since = entered.get(name);
    if (name !== state) return [`${since === undefined ? '○' : '●'} ${name.padEnd(13)} ${since ?? ''}`.trimEnd()];
    const inner =
      containment === undefined || state === 'resolved' || isReleased(containment) ? '' : `  ${containment.status}`;
    return [
      `${styled(stateStyle(state, containment), `▶ ${name.padEnd(13)}`)} ${since ?? ''}${inner}`.trimEnd(),
      ...transitions
        .filter(({ allowed, target }) => allowed && target !== null && target !== state)
        .map(({ event, target }) => `    ${printable(event)} → ${printable(target ?? '')}`),
    ];
  });
}

/** Where the entries are that the log does not have any more. */
const earlierOf = (history: readonly AuditEntry[]): readonly string[] => {
  const [first] = history;
  const carried = history.find(({ event }) => event === 'incident.carried');
  if (carried === undefined || first?.data.version === 1) return [];
  return [printable((carried.data.earlier as { readonly note: string }).note)];
};

/** The entries about the incident, with the jumps of the clock between them. */
const timelineOf = (history: readonly AuditEntry[], jumps: readonly ClockJump[]): readonly string[] =>
  table<AuditEntry>(
    [
      { header: 'SEQ', value: ({ data }) => String(data.seq) },
      {
        header: 'TIME',
        value: ({ timestamp, data }) => (isTimeUncertain(jumps, data.seq) ? `${timestamp} (?)` : timestamp),
      },
      { header: 'EVENT', value: ({ event }) => event },
      { header: 'STATE', value: ({ data }) => data.state ?? '' },
      { header: 'DETAIL', value: detailOf, least: 12, optional: true },
    ],
    history.flatMap((entry, at) => [
      ...jumpsBetween(jumps, history[at - 1]?.data.seq ?? entry.data.seq, entry.data.seq).map(
        ({ at: timestamp, ...data }) => ({ timestamp, event: 'clock.jumped', data }),
      ),
      entry,
    ]),
  );
