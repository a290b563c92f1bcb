/**
 * The posture in the database: how each action stands (domain/posture.ts), and the deliveries that hold it.
 *
 * There are five actions, so how they stand is kept in memory and written before each commit; the deliveries that hold
 * them are rows.
 */
import type { DeliveryStatus } from '../../machines/delivery.ts';
import type { ContainmentAction } from '../../machines/vocabulary.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { EntryRange } from './archived-incidents.ts';
import type { ArchivedData, EntryOf, IncidentEntry } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';
import { type GroupBounds, HolderGroups } from './holder-groups.ts';
import { isUndelivered, type ReleasedEarly } from '../domain/delivery.ts';
import type { IncidentRecord, RecordChange } from '../domain/incident.ts';
import {
  type ActionPosture,
  deliveryRow,
  type Memory,
  onRecord,
  placeOf,
  PostureFold,
  RELEASED_EARLY,
  type Wait,
} from '../domain/posture.ts';

/** A delivery of an incident that holds an action. */
export interface Holder {
  readonly incident: string;
  /** When it is to be sent, in milliseconds since the epoch, if it is. */
  readonly due: number;
}

/** An unresolved incident that a person has released an action of. */
export interface EarlyRelease extends ReleasedEarly {
  readonly incident: string;
}

/** A delivery that is not confirmed. */
export interface Unconfirmed {
  readonly incident: string;
  /** When it was asked for, in milliseconds since the epoch, and by which entry of the log. */
  readonly askedAt: number;
  readonly askedSeq: number;
}

/** What is shown of the posture; it may be behind the log. */
export type ShownPosture = Pick<Posture, 'of' | 'waiting'>;

export class Posture {
  readonly #read: Statement;
  readonly #write: Statement;
  readonly #put: Statement;
  readonly #drop: Statement;
  readonly #holders: Statement;
  readonly #withStatus: Statement;
  readonly #waiting: Statement;
  readonly #groups: HolderGroups;
  readonly #early: Statement;
  readonly #earlyCount: Statement;
  readonly #fold: PostureFold;

  constructor(database: Database) {
    this.#read = database.prepare('SELECT action, posture FROM posture');
    this.#write = database.prepare(
      'INSERT INTO posture (action, posture) VALUES (?, ?) ON CONFLICT DO UPDATE SET posture = excluded.posture',
    );
    this.#put = database.prepare(`
      INSERT INTO deliveries (action, incident, status, due, wait, asked_seq) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET status = excluded.status, due = excluded.due, wait = excluded.wait,
        asked_seq = excluded.asked_seq`);
    this.#drop = database.prepare('DELETE FROM deliveries WHERE action = ? AND incident = ?');
    this.#holders = database.prepare(`
      SELECT id, due FROM deliveries JOIN incidents ON number = incident
      WHERE action = ? AND status <> '${RELEASED_EARLY}' ORDER BY incident LIMIT ?`);
    this.#withStatus = database.prepare(`
      SELECT id, due FROM deliveries JOIN incidents ON number = incident
      WHERE action = ? AND status = ? ORDER BY due, incident LIMIT ?`);
    this.#waiting = database.prepare(`
      SELECT id, asked_seq, (
        SELECT value ->> '$.asked_at' FROM json_each(document, '$.containment.actions')
        WHERE value ->> '$.action' = action
      ) AS asked_at
      FROM deliveries JOIN incidents ON number = incident
      WHERE action = ? AND wait = ? AND wait > 0 ORDER BY asked_seq, incident LIMIT ?`);
    this.#groups = new HolderGroups(database, RELEASED_EARLY);
    const groups = this.#groups;
    this.#fold = new PostureFold((action, incident, severity, by) => groups.add(action, incident, severity, by));
    this.#early = database.prepare(`
      SELECT id, (
        SELECT value -> '$.released_early' FROM json_each(document, '$.containment.actions')
        WHERE value ->> '$.action' = action
      ) AS released
      FROM deliveries JOIN incidents ON number = incident
      WHERE action = ? AND status = '${RELEASED_EARLY}' ORDER BY incident DESC LIMIT ?`);
    this.#earlyCount = database.prepare(
      `SELECT count(*) AS count FROM deliveries WHERE action = ? AND status = '${RELEASED_EARLY}'`,
    );
    this.reload();
  }

  /** How an action stands. */
  of(action: ContainmentAction): ActionPosture {
    return this.#fold.of(action);
  }

  /** The incidents that hold an action, oldest first. */
  holders(action: ContainmentAction, limit: number): readonly Holder[] {
    return this.#holders.all(action, limit).map(holderOf);
  }

  /** The holders whose delivery has a status, the one that is due first before the others. */
  withStatus(action: ContainmentAction, status: DeliveryStatus, limit: number): readonly Holder[] {
    return this.#withStatus.all(action, status, limit).map(holderOf);
  }

  /** The holders whose delivery waits so, the one that was asked for first before the others. */
  waiting(action: ContainmentAction, wait: Wait, limit: number): readonly Unconfirmed[] {
    return this.#waiting.all(action, placeOf(wait), limit).map((row) => ({
      incident: String(row.id),
      askedAt: Date.parse(String(row.asked_at)),
      askedSeq: Number(row.asked_seq),
    }));
  }

  /** The holders of an action by class and source, and how many groups there are in all. */
  groups(action: ContainmentAction, bounds: GroupBounds): ReturnType<HolderGroups['read']> {
    return this.#groups.read(action, bounds);
  }

  /** The unresolved incidents of which a person has released an action early, the newest first. */
  releasedEarly(action: ContainmentAction, limit: number): readonly EarlyRelease[] {
    return this.#early
      .all(action, limit)
      .map((row) => ({ incident: String(row.id), ...(JSON.parse(String(row.released)) as ReleasedEarly) }));
  }

  /** How many these are. */
  releasedEarlyCount(action: ContainmentAction): number {
    return Number(this.#earlyCount.get(action)?.count ?? 0);
  }

  /** Follows an entry about an incident: what the incident was before it, if it was, and what it is now. */
  follow(entry: IncidentEntry, now: IncidentRecord, before: IncidentRecord | undefined): void {
    this.#fold.follow(entry, now, before);
  }

  /** Records a sign of life. */
  hear(entry: EntryOf<'containment.heard'>): void {
    this.#fold.hear(entry);
  }

  /** See `PostureFold.leave`. */
  leave(data: ArchivedData): void {
    this.#fold.leave(data);
  }

  /** Writes what a batch of entries has changed of the deliveries. */
  store(changes: Iterable<RecordChange>): void {
    for (const { before, now } of changes) {
      const held = onRecord(before?.incident);
      const holds = onRecord(now.incident);
      if (held === holds) continue;
      for (const delivery of holds) {
        if (held.includes(delivery)) continue;
        const { action, status, due, wait, asked_seq } = deliveryRow(delivery);
        this.#put.run(action, now.seq, status, due, wait, asked_seq);
      }
      for (const { action } of held) {
        if (!holds.some((delivery) => delivery.action === action)) this.#drop.run(action, now.seq);
      }
    }
  }

  /** Writes the actions that have changed. Called before a commit. */
  settle(): void {
    for (const action of this.#fold.changed) this.#write.run(action, JSON.stringify(this.of(action)));
    this.#fold.changed.clear();
  }

  /** Why the incidents that were reported in these entries have to stay, or `undefined`. */
  obstacle({ first, last }: EntryRange): string | undefined {
    for (const [action, { release }] of this.#fold.all) {
      if (release === null || release.number < first || release.number > last) continue;
      if (isUndelivered(release.delivery))
        return `the release of ${action} by incident ${release.incident} is on its way`;
    }
    return undefined;
  }

  /** The incidents reported in these entries whose releases are still on record, each once. */
  releasedBy({ first, last }: EntryRange): readonly string[] {
    const releases = [...this.#fold.all.values()].flatMap(({ release }) => release ?? []);
    return [...new Set(releases.filter(({ number }) => number >= first && number <= last).map((one) => one.incident))];
  }

  /** What a `log.archived` entry carries, because it may come from incidents that leave with it. */
  memory({ first, last }: EntryRange): ArchivedData['posture'] {
    const remembered = ([action, { since, heard_at, seq, release }]: [string, ActionPosture]) => {
      const stays = release !== null && (release.number < first || release.number > last);
      const memory: Memory = { since, heard_at, seq, release: stays ? release : null };
      return [action, memory as unknown as JsonValue];
    };
    return Object.fromEntries([...this.#fold.all].map(remembered));
  }

  /** Reads the table again. @throws SyntaxError when it holds something else: somebody has edited it */
  reload(): void {
    this.#fold.clear();
    this.#groups.forget();
    for (const row of this.#read.all()) {
      this.#fold.restore(row.action as ContainmentAction, postureIn(String(row.posture)));
    }
  }
}

function postureIn(text: string): ActionPosture {
  const posture = JSON.parse(text) as ActionPosture;
  const { holders, counts, changed, release } = posture;
  const isPosture =
    Number.isSafeInteger(holders) &&
    isObject(counts) &&
    isObject(changed) &&
    (release === null || (isObject(release) && isObject(release.delivery)));
  if (!isPosture) throw new SyntaxError('not a posture');
  return posture;
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

const holderOf = (row: Record<string, unknown>): Holder => ({ incident: String(row.id), due: Number(row.due) });
