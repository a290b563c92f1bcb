/** `incident-recorder posture`: which containment actions are asked for, what is carried out, and what is not known. */
import type { Command } from 'commander';
import type { DeliveryStatus, Posture } from '../client/shapes.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { ageOf } from './terminal/age.ts';
import { TROUBLE_STYLE } from './terminal/colour.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';

export const define = (command: Command): Command =>
  withApiClient(
    command.description(
      'Shows which containment actions are asked for, what of that is carried out and by whom, and what is not known.',
    ),
  ).action(async (options: ApiOptions) => {
    const posture = await new ApiClient(options).read<Readonly<Record<string, Posture>>>('/api/v1/containment');
    if (options.json) return writeJson(posture);
    return writeLines(table(columns(Date.now()), Object.values(posture)));
  });

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
