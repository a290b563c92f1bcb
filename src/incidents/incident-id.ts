/**
 * Identifiers of incidents: `INC-`, the day in UTC, the millisecond of that day in seven hexadecimal digits, and 20 random
 * bits in five. So identifiers sort by time, near enough, and an index over them grows at its end: with random ones each
 * report would touch another page of it.
 */
import { DAY, timestamp } from '../clock.ts';

/** `INC-20261122-18b8a401d3e8` and the like; never one that is `taken`. */
export function incidentId(now: number, random: (bytes: number) => Buffer, taken: (id: string) => boolean): string {
  const time = timestamp(now);
  const day = time.slice(0, 4) + time.slice(5, 7) + time.slice(8, 10);
  const millisecond = (now % DAY).toString(16).padStart(7, '0');
  for (;;) {
    const id = `INC-${day}-${millisecond}${random(3).toString('hex').slice(1)}`;
    if (!taken(id)) return id;
  }
}
