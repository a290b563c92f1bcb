/** `incident-recorder posture`: which containment actions are in force, who holds them, whether they were carried out. */
import type { Command } from 'commander';
import type { Posture } from '../client/shapes.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { ageOf } from './terminal/age.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';

export const define = (command: Command): Command =>
  withApiClient(
    command.description(
      'Shows which containment actions are in force, how many incidents hold each, and how far its delivery is.',
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
    value: ({ engaged }) => (engaged ? 'in force' : 'released'),
    style: ({ engaged }) => (engaged ? 'bold' : 'dim'),
  },
  { header: 'SINCE', value: ({ since }) => (since === null ? '-' : ageOf(since, now)) },
  { header: 'HOLDERS', value: ({ holders }) => String(holders) },
  { header: 'VIA', value: ({ via }) => via },
  {
    header: 'DELIVERY',
    value: ({ delivery }) => deliveryOf(delivery),
    style: ({ delivery }) => (delivery?.status === 'failed' || delivery?.status === 'lost' ? 'red' : undefined),
    least: 10,
  },
  { header: 'LAST ERROR', value: ({ delivery }) => delivery?.last_error ?? '', least: 12, optional: true },
];

/** The status that matters most, and how many deliveries have another. */
function deliveryOf(delivery: Posture['delivery']): string {
  if (delivery === null) return '-';
  const { status, counts } = delivery;
  const others = Object.entries(counts).filter(([name]) => name !== status);
  return [status, ...others.map(([name, count]) => `${count} ${name}`)].join(', ');
}
