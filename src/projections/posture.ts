/**
 * The posture: which containment actions are in force, held by which incidents, and how far their deliveries are.
 *
 * An action is in force while at least one unresolved incident that asked for it is there. When the last of them is
 * resolved it is released, and that release is a delivery of its own. There is at most one release of an action at a
 * time, and none while the action is in force: engaging it again supersedes a release that is still on its way.
 *
 * There are five actions, so how they stand is kept in memory and written before each commit; the deliveries that hold
 * them are rows.
 */
import { DELIVERY_STATUSES, type DeliveryStatus } from '../../machines/delivery.ts';
import type { ContainmentAction } from '../../machines/vocabulary.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { EntryRange } from './archived-incidents.ts';
import {
  type ArchivedData,
  channelOfIntent,
  type DeliveryEntry,
  type Entry,
  type EntryOf,
  type IncidentEntry,
} from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';
import { type GroupBounds, HolderGroups } from './holder-groups.ts';
import {
  type DeliveryRecord,
  foldDelivery,
  isAboutDelivery,
  isHeld,
  isUndelivered,
  newRelease,
  type ReleasedEarly,
  waitOf,
} from '../domain/delivery.ts';
import type { Incident, IncidentRecord, RecordChange } from '../domain/incident.ts';

/** How one action stands. */
export interface ActionPosture {
  /** How many unresolved incidents hold it. */
  readonly holders: number;
  /** Since when it is in force, or was released: RFC 3339; null when it never was in force. */
  readonly since: string | null;
  /** When its service was last heard of: RFC 3339. */
  readonly heard_at: string | null;
  /** The last entry of the log that changed any of this. */
  readonly seq: number;
  /** How many deliveries of its holders have each status. */
  readonly counts: Readonly<Partial<Record<DeliveryStatus, number>>>;
  /** How many of them are overdue. */
  readonly overdue: number;
  /** The delivery of its release, when it is not in force. */
  readonly release: Release | null;
  /** The entries that last changed those members which an archived entry may have set. */
  readonly changed: Readonly<Record<Remembered, number>>;
}

/** What may come from incidents that have left the log. */
const REMEMBERED = ['since', 'heard_at', 'release'] as const;
type Remembered = (typeof REMEMBERED)[number];

export interface Release {
  /** The incident that held it last: its identifier, and the entry that it begins with (its report, or what carried it over). */
  readonly incident: string;
  readonly number: number;
  readonly asked_at: string;
  readonly delivery: DeliveryRecord;
}

type Memory = Pick<ActionPosture, 'since' | 'heard_at' | 'seq' | 'release'>;

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

/**
 * Why deliveries are not known to be carried out (`waitOf`); the table has their places here from 1, and 0 for others.
 */
export const WAITS = ['waiting', 'overdue', 'broken'] as const;
export type Wait = (typeof WAITS)[number];

const NEVER: ActionPosture = {
  holders: 0,
  since: null,
  heard_at: null,
  seq: 0,
  counts: {},
  overdue: 0,
  release: null,
  changed: { since: 0, heard_at: 0, release: 0 },
};

/** What is shown of the posture; it may be behind the log. */
export type ShownPosture = Pick<Posture, 'of' | 'waiting'>;

/** The status of the rows that hold nothing any more: a person has released them early, and their incident stays. */
export const RELEASED_EARLY = 'superseded' satisfies DeliveryStatus;

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
  readonly #of = new Map<ContainmentAction, ActionPosture>();
  readonly #changed = new Set<ContainmentAction>();

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
    return this.#of.get(action) ?? NEVER;
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
    if (isAboutDelivery(entry) && entry.data.directive === 'release') {
      this.#followRelease(entry);
      return;
    }
    if (entry.event === 'incident.carried') this.#carry(entry, now);
    const held = holdings(before?.incident);
    const holds = holdings(now.incident);
    if (before !== undefined && before.incident.severity !== now.incident.severity) {
      // The holders are shown with their severities.
      for (const { action } of holds) this.#change(entry, action, {});
      for (const { action } of held) {
        this.#groups.add(action, now.incident, before.incident.severity, -1);
        this.#groups.add(action, now.incident, now.incident.severity, 1);
      }
    }
    if (held === holds) return;
    this.#followReleased(entry, before?.incident, now.incident);
    for (const delivery of held) {
      const { action } = delivery;
      const after = holds.find((other) => other.action === action);
      if (after === undefined) this.#release(entry, delivery, now);
      else if (after !== delivery) this.#change(entry, action, counted(this.of(action), delivery, after));
    }
    for (const delivery of holds) {
      if (!held.some(({ action }) => action === delivery.action)) this.#engage(entry, delivery, now.incident);
    }
  }

  /** Records a sign of life. */
  hear(entry: EntryOf<'containment.heard'>): void {
    this.#change(entry, entry.data.action, { heard_at: entry.timestamp });
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
    for (const action of this.#changed) this.#write.run(action, JSON.stringify(this.of(action)));
    this.#changed.clear();
  }

  /** Why the incidents that were reported in these entries have to stay, or `undefined`. */
  obstacle({ first, last }: EntryRange): string | undefined {
    for (const [action, { release }] of this.#of) {
      if (release === null || release.number < first || release.number > last) continue;
      if (isUndelivered(release.delivery))
        return `the release of ${action} by incident ${release.incident} is on its way`;
    }
    return undefined;
  }

  /** The incidents reported in these entries whose releases are still on record, each once. */
  releasedBy({ first, last }: EntryRange): readonly string[] {
    const releases = [...this.#of.values()].flatMap(({ release }) => release ?? []);
    return [...new Set(releases.filter(({ number }) => number >= first && number <= last).map((one) => one.incident))];
  }

  /** What a `log.archived` entry carries, because it may come from incidents that leave with it. */
  memory({ first, last }: EntryRange): ArchivedData['posture'] {
    const remembered = ([action, { since, heard_at, seq, release }]: [string, ActionPosture]) => {
      const stays = release !== null && (release.number < first || release.number > last);
      const memory: Memory = { since, heard_at, seq, release: stays ? release : null };
      return [action, memory as unknown as JsonValue];
    };
    return Object.fromEntries([...this.#of].map(remembered));
  }

  /**
   * Forgets what is known only through incidents that have left the record. Entries between the one up to which the memory
   * is true and the `log.archived` entry may have changed some members: those stay.
   */
  leave({ posture, posture_seq }: ArchivedData): void {
    for (const [name, remembered] of Object.entries(posture)) {
      const action = name as ContainmentAction;
      const before = this.of(action);
      const memory = completed(remembered as unknown as Memory);
      const old = REMEMBERED.filter((member) => before.changed[member] <= posture_seq);
      this.#set(action, {
        ...before,
        ...Object.fromEntries(old.map((member) => [member, memory[member]])),
        seq: before.seq <= posture_seq ? memory.seq : before.seq,
        changed: { ...before.changed, ...Object.fromEntries(old.map((member) => [member, posture_seq])) },
      });
    }
  }

  /** Reads the table again. @throws SyntaxError when it holds something else: somebody has edited it */
  reload(): void {
    this.#of.clear();
    this.#groups.forget();
    this.#changed.clear();
    for (const row of this.#read.all()) {
      this.#of.set(row.action as ContainmentAction, postureIn(String(row.posture)));
    }
  }

  #engage(entry: Entry, delivery: DeliveryRecord, incident: Incident): void {
    this.#groups.add(delivery.action, incident, incident.severity, 1);
    const before = this.of(delivery.action);
    this.#change(entry, delivery.action, {
      holders: before.holders + 1,
      ...counted(before, undefined, delivery),
      ...(before.holders === 0 ? { since: entry.timestamp, release: null } : {}),
    });
  }

  #release(
    entry: IncidentEntry,
    delivery: DeliveryRecord,
    { incident: now, seq, carried: number = seq }: IncidentRecord,
  ): void {
    const { action } = delivery;
    const before = this.of(action);
    const last = before.holders === 1;
    const { incident } = entry.data;
    this.#groups.add(action, now, now.severity, -1);
    const isRelease = entry.event === 'incident.resolved' || entry.event === 'containment.released';
    const intents = isRelease ? entry.data.intents : [];
    const intent = intents.find(({ action: asked, directive }) => asked === action && directive === 'release');
    const via = channelOfIntent(intent ?? { action, directive: 'release' });
    const release =
      via === 'log'
        ? null
        : { incident, number, asked_at: entry.timestamp, delivery: newRelease(delivery, via, entry) };
    this.#change(entry, action, {
      holders: before.holders - 1,
      ...counted(before, delivery, undefined),
      ...(last ? { since: entry.timestamp, release } : {}),
    });
  }

  /** What is shown of early releases changes when their incident asks again, or is resolved. */
  #followReleased(entry: Entry, before: Incident | undefined, now: Incident): void {
    const stays = onRecord(now);
    for (const delivery of onRecord(before)) {
      if (isHeld(delivery)) continue;
      const after = stays.find(({ action }) => action === delivery.action);
      if (after === undefined) this.#change(entry, delivery.action, {});
    }
  }

  /** An incident that stays keeps the releases that it has asked for early. */
  #carry(entry: IncidentEntry, { carried }: IncidentRecord): void {
    for (const [action, { release }] of this.#of) {
      if (carried === undefined || release?.incident !== entry.data.incident) continue;
      this.#change(entry, action, { release: { ...release, number: carried } });
    }
  }

  #followRelease(entry: DeliveryEntry): void {
    const { action, incident } = entry.data;
    const { release } = this.of(action);
    // The log also holds news of a release that was superseded meanwhile: they change nothing.
    if (release?.incident !== incident) return;
    const delivery = foldDelivery(release.delivery, entry);
    if (delivery !== undefined) this.#change(entry, action, { release: { ...release, delivery } });
  }

  #change(entry: Entry, action: ContainmentAction, change: Partial<ActionPosture>): void {
    const { since, heard_at, release } = change;
    // Most entries change nothing of what is remembered.
    if (entry.event !== 'containment.confirmed' && (since ?? heard_at ?? release) === undefined) {
      this.#set(action, { ...this.of(action), ...change, seq: entry.data.seq });
      return;
    }
    const heard = entry.event === 'containment.confirmed' ? { heard_at: entry.timestamp } : {};
    const before = this.of(action);
    const { seq } = entry.data;
    const all = { ...change, ...heard };
    const members = REMEMBERED.filter((member) => member in all);
    const changed =
      members.length === 0
        ? before.changed
        : { ...before.changed, ...Object.fromEntries(members.map((member) => [member, seq])) };
    this.#set(action, { ...before, ...all, seq, changed });
  }

  #set(action: ContainmentAction, posture: ActionPosture): void {
    this.#of.set(action, posture);
    this.#changed.add(action);
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

const NOTHING: readonly DeliveryRecord[] = [];

/** The deliveries of an unresolved incident, also those that were released early. A drill has none here. */
export const onRecord = (incident: Incident | undefined): readonly DeliveryRecord[] =>
  incident?.containment === undefined || incident.state === 'resolved' || incident.drill === true
    ? NOTHING
    : incident.containment.actions;

/** The deliveries by which an incident holds actions in force. A drill holds none. */
function holdings(incident: Incident | undefined): readonly DeliveryRecord[] {
  const all = onRecord(incident);
  return all.every(isHeld) ? all : all.filter(isHeld);
}

/** The row of a delivery, without its incident. It is due as soon as it is asked for, until it was tried. */
export const deliveryRow = (delivery: DeliveryRecord) => ({
  action: delivery.action,
  status: isHeld(delivery) ? delivery.status : RELEASED_EARLY,
  due: isUndelivered(delivery) ? Date.parse(delivery.next_attempt_at ?? delivery.asked_at) : 0,
  wait: placeOf(waitOf(delivery)),
  asked_seq: delivery.asked_seq,
});

/** The number of a reason to wait in the table. */
const placeOf = (wait: Wait | undefined): number => (wait === undefined ? 0 : WAITS.indexOf(wait) + 1);

/** A memory as this version keeps it: older entries do not say when the delivery of a release was asked for. */
const completed = (memory: Memory): Memory => {
  const { release } = memory;
  if (release === null) return memory;
  const { asked_at, delivery } = release;
  const asked: Partial<Pick<DeliveryRecord, 'asked_at' | 'asked_seq'>> = { asked_at, asked_seq: 0 };
  return { ...memory, release: { ...release, delivery: { ...asked, ...delivery } } };
};

const isOverdue = (delivery: DeliveryRecord | undefined): boolean =>
  delivery !== undefined && waitOf(delivery) === 'overdue';

/** How the deliveries of the holders are, when one of them has changed. */
function counted(
  posture: ActionPosture,
  before: DeliveryRecord | undefined,
  after: DeliveryRecord | undefined,
): Pick<ActionPosture, 'counts' | 'overdue'> {
  const overdue = posture.overdue + Number(isOverdue(after)) - Number(isOverdue(before));
  return { counts: countsAfter(posture, before, after), overdue };
}

function countsAfter(
  { counts }: ActionPosture,
  before: DeliveryRecord | undefined,
  after: DeliveryRecord | undefined,
): ActionPosture['counts'] {
  const result = { ...counts };
  if (before !== undefined) result[before.status] = (result[before.status] ?? 0) - 1;
  if (after !== undefined) result[after.status] = (result[after.status] ?? 0) + 1;
  const hasGone = before !== undefined && result[before.status] === 0;
  const isNew = after !== undefined && counts[after.status] === undefined;
  if (!hasGone && !isNew) return result;
  // The members and their order must not depend on earlier ones.
  const there = DELIVERY_STATUSES.filter((status) => (result[status] ?? 0) !== 0);
  return Object.fromEntries(there.map((status) => [status, result[status]]));
}
