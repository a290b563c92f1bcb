/**
 * Until when incidents are snoozed, by that time.
 *
 * A deadline is a time of the wall clock, which may be set back; it would come too late then. The log records such jumps
 * (`clock.jumped`), so a snooze that is older than a jump ends as soon as the time that it was for has passed. When the
 * clock is set forward it may end earlier than it was wanted, never later.
 */
import { isDeepStrictEqual } from 'node:util';
import type { IncidentEntry } from '../domain/entries.ts';
import type { IncidentRecord } from '../domain/incident.ts';
import type { ClockJumps } from './clock-jumps.ts';
import type { Database, Statement } from './database.ts';

/** A snooze whose time has come, and until when it is: RFC 3339. */
export interface DueSnooze {
  readonly incident: string;
  readonly until: string;
}

export class Snoozes {
  readonly #jumps: Pick<ClockJumps, 'newest'>;
  readonly #put: Statement;
  readonly #drop: Statement;
  readonly #first: Statement;
  readonly #due: Statement;
  readonly #of: Statement;

  constructor(database: Database, jumps: Pick<ClockJumps, 'newest'>) {
    this.#jumps = jumps;
    this.#put = database.prepare('INSERT OR REPLACE INTO snoozes (incident, due, seq) VALUES (?, ?, ?)');
    this.#drop = database.prepare('DELETE FROM snoozes WHERE incident = ?');
    this.#first = database.prepare('SELECT 1 FROM snoozes LIMIT 1');
    this.#due = database.prepare(`
      SELECT id, due FROM snoozes JOIN incidents ON number = incident
      WHERE due <= ? AND seq >= ? AND seq < ? ORDER BY due LIMIT ?`);
    this.#of = database.prepare('SELECT due FROM snoozes WHERE incident = ?');
  }

  /** Follows an entry about an incident: what the incident was before it, if it was, and what it is now. */
  follow(entry: IncidentEntry, now: IncidentRecord, before: IncidentRecord | undefined): void {
    const { snoozed_until: until } = now.incident;
    const was = before?.incident.snoozed_until;
    if (until === undefined) {
      if (was !== undefined) this.#drop.run(now.seq);
      // What was carried over begins with that entry, also where those before it are not there any more.
    } else if (until !== was || entry.event === 'incident.carried') {
      this.#put.run(now.seq, Date.parse(until), entry.data.seq);
    }
  }

  /**
   * The snoozes whose time has come, the earliest first within each stretch between two jumps of the clock.
   * @param now milliseconds since the epoch
   */
  due(now: number, most: number): readonly DueSnooze[] {
    if (this.#first.get() === undefined) return [];
    const found = new Map<string, DueSnooze>();
    for (const { from, to, back } of this.#stretches()) {
      for (const { id, due } of this.#due.all(now + back, from, to, most - found.size)) {
        found.set(String(id), { incident: String(id), until: new Date(Number(due)).toISOString() });
      }
      if (found.size >= most) break;
    }
    return [...found.values()];
  }

  /** How the row of an incident differs from what it is. */
  difference({ incident, seq }: IncidentRecord): string | undefined {
    const { id, snoozed_until: until } = incident;
    const row = this.#of.get(seq);
    const due = until === undefined ? undefined : Date.parse(until);
    return isDeepStrictEqual(row?.due, due) ? undefined : `${id} is snoozed until another time`;
  }

  /** The stretches of the log between jumps of the clock, and by how much it was set back since each, if it was. */
  #stretches(): readonly { readonly from: number; readonly to: number; readonly back: number }[] {
    const stretches = [];
    let [to, by] = [Number.MAX_SAFE_INTEGER, 0];
    for (const { seq, by_ms } of this.#jumps.newest().toReversed()) {
      stretches.push({ from: seq, to, back: Math.max(0, -by) });
      [to, by] = [seq, by + by_ms];
    }
    return [...stretches, { from: 0, to, back: Math.max(0, -by) }];
  }
}
