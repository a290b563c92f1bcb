/** `incident-recorder posture`: which containment actions are asked for, what is carried out, and what is not known. */
import type { Command } from 'commander';
import type { DeliveryStatus, HolderGroup, Posture } from '../client/shapes.ts';
import { inForceLines } from './fleet-views.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { ageOf } from './terminal/age.ts';
import { SEVERITY_STYLES, styled, TROUBLE_STYLE } from './terminal/colour.ts';
import { counted } from './terminal/counted.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';
import { type Column, table } from './terminal/table.ts';

export const define = (command: Command): Command =>
  withApiClient(
    command.description(
      'Shows which containment actions are asked for, what of that is carried out and by whom, and what is not known.',
    ),
  ).action(async (options: ApiOptions) => {
    const posture = await new ApiClient(options).read<Readonly<Record<string, Posture>>>('/api/v1/containment');
    if (options.json) return writeJson(posture);
    const actions = Object.values(posture);
    // A fleet without --machine: how it stands on all of them.
    if (actions.some((one) => 'machines' in one)) return writeLines(inForceLines(actions as never));
    return writeLines([
      ...table(columns(Date.now()), actions),
      ...actions.flatMap((one) => holdersOf(one, Date.now())),
    ]);
  });

/** All who hold an action, by class and source, and who has released it early. */
function holdersOf(
  { action, holders, holder_groups: groups = [], more_groups: more = 0, ...posture }: Posture,
  now: number,
): readonly string[] {
  const { released_early: early = [], released_early_count: earlyCount = 0 } = posture;
  // An alert is an entry of the log: nothing is in force that somebody holds.
  if (action === 'log_alert' || (groups.length === 0 && early.length === 0)) return [];
  const rows = table(groupColumns(now), groups).map((line) => `  ${line}`);
  return [
    '',
    ...(groups.length === 0 ? [] : [styled('bold', `${action}: ${counted(holders, 'holder')}`)]),
    ...(groups.length === 0 ? [] : rows),
    ...(more === 0 ? [] : [`  and ${more} more classes and sources`]),
    ...early.map(({ incident, at, by, claimed, reason }) => {
      const who = by === undefined ? '' : ` by ${printable(by)}${claimed === true ? ' (claimed)' : ''}`;
      return `${action} was released early for ${printable(incident)}${who}, ${ageOf(at, now)} ago: ${printable(reason)}`;
    }),
    ...(earlyCount > early.length ? [`and for ${earlyCount - early.length} more incidents`] : []),
  ];
}

const groupColumns = (now: number): readonly Column<HolderGroup>[] => [
  { header: 'COUNT', value: ({ count }) => String(count) },
  { header: 'WORST', value: ({ severity }) => severity, style: ({ severity }) => SEVERITY_STYLES[severity] },
  { header: 'CLASS', value: (group) => group.class },
  { header: 'SOURCE', value: ({ source }) => source, least: 10 },
  { header: 'OLDEST', value: ({ first }) => (first === undefined ? '-' : ageOf(first, now)) },
  {
    header: 'INCIDENTS',
    value: ({ ids, more }) => [...ids, ...(more === 0 ? [] : [`and ${more} more`])].join(' '),
    least: 12,
  },
];

const columns = (now: number): readonly Column<Posture>[] => [
  { header: 'ACTION', value: ({ action }) => action },
  {
    header: 'POSTURE',
    value: postureOf,
    style: (one) => (isTroubled(one) ? TROUBLE_STYLE : one.engaged ? 'bold' : 'dim'),
  },
  { header: 'ASKED FOR', value: ({ since }) => (since === null ? '-' : ageOf(since, now)) },
  { header: 'HOLDERS', value: ({ holders }) => String(holders) },
  { header: 'VIA', value: ({ via }) => via },
  {
    header: 'DELIVERY',
    value: (one) => deliveryOf(one, now),
    style: (one) => (isTroubled(one) ? TROUBLE_STYLE : undefined),
    least: 10,
  },
  { header: 'CARRIED OUT', value: ({ carried_out }) => doneOf(carried_out, now), least: 11 },
  { header: 'LAST ERROR', value: ({ delivery }) => delivery?.last_error ?? '', least: 12, optional: true },
];

/** What is known of an action in a word: only what was carried out for all of its incidents is in force, or released. */
function postureOf({ asked, engaged, carried_out, not_known, to_do }: Posture): string {
  if (asked === null) return 'not asked';
  if (to_do !== undefined) return to_do;
  if ((not_known?.overdue ?? 0) > 0) return engaged ? 'overdue' : 'release overdue';
  if (carried_out === null) return engaged ? 'not known' : 'release not known';
  if (engaged && (not_known?.incidents ?? 0) > 0) return 'in force in part';
  return engaged ? 'in force' : 'released';
}

const BROKEN: readonly DeliveryStatus[] = ['failed', 'lost', 'needs_person'];

/** Whether an operator has to look at an action. */
const isTroubled = ({ not_known, delivery }: Posture): boolean =>
  (not_known?.overdue ?? 0) > 0 || BROKEN.some((status) => (delivery?.counts[status] ?? 0) > 0);

/** How many deliveries are carried out, who says so, and when that service was last heard of. */
function doneOf(done: Posture['carried_out'], now: number): string {
  if (done === null) return '-';
  const { incidents, by, heard_at } = done;
  return `${incidents} by ${by}${heard_at === null ? '' : `, heard ${ageOf(heard_at, now)} ago`}`;
}

/** The status that matters most, how many deliveries have another, and for how long the oldest overdue one waits. */
function deliveryOf({ delivery, not_known }: Posture, now: number): string {
  if (delivery === null) return '-';
  const { status, counts } = delivery;
  const others = Object.entries(counts).filter(([name]) => name !== status);
  const words = [status, ...others.map(([name, count]) => `${count} ${name}`)];
  const { overdue = 0, oldest_asked_at: oldest = null } = not_known ?? {};
  if (overdue > 0) words.push(`${overdue} overdue${oldest === null ? '' : ` for ${ageOf(oldest, now)}`}`);
  return words.join(', ');
}
