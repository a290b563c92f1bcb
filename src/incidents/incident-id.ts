/** Identifiers of incidents: `INC-`, the day in UTC, and 48 random bits. */
import { timestamp } from '../clock.ts';

/** `INC-20261122-4f2a9c01d3e8` and the like; never one that is `taken`. */
export function incidentId(now: number, random: (bytes: number) => Buffer, taken: (id: string) => boolean): string {
  const day = timestamp(now).slice(0, 10).replaceAll('-', '');
  for (;;) {
    const id = `INC-${day}-${random(6).toString('hex')}`;
    if (!taken(id)) return id;
  }
}
