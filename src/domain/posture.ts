/**
 * The posture: which containment actions are in force, held by which incidents, and how far their deliveries are.
 *
 * An action is in force while at least one unresolved incident that asked for it is there. When the last of them is
 * resolved it is released, and that release is a delivery of its own. There is at most one release of an action at a
 * time, and none while the action is in force: engaging it again supersedes a release that is still on its way.
 */
import { DELIVERY_STATUSES, type DeliveryStatus } from '../../machines/delivery.ts';
import type { ContainmentAction, Severity } from '../../machines/vocabulary.ts';
import {
  type DeliveryRecord,
  foldDelivery,
  isAboutDelivery,
  isHeld,
  isUndelivered,
  newRelease,
  waitOf,
} from './delivery.ts';
import {
  type ArchivedData,
  channelOfIntent,
  type DeliveryEntry,
  type Entry,
  type EntryOf,
  type IncidentEntry,
} from './entries.ts';
import type { Incident, IncidentRecord } from './incident.ts';

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

export type Memory = Pick<ActionPosture, 'since' | 'heard_at' | 'seq' | 'release'>;

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

/** The status of the rows that hold nothing any more: a person has released them early, and their incident stays. */
export const RELEASED_EARLY = 'superseded' satisfies DeliveryStatus;

/** Is called for each incident that begins (`by` 1) or ceases (-1) to hold an action with a severity. */
export type OnHeld = (action: ContainmentAction, incident: Incident, severity: Severity, by: 1 | -1) => void;

/** Follows the entries of a log, and knows how each action stands after them. */
export class PostureFold {
  readonly #of = new Map<ContainmentAction, ActionPosture>();
  /** The actions that have changed since they were written. */
  readonly changed = new Set<ContainmentAction>();
  readonly #onHeld: OnHeld;

  constructor(onHeld: OnHeld = () => {}) {
    this.#onHeld = onHeld;
  }

  /** How an action stands. */
  of(action: ContainmentAction): ActionPosture {
    return this.#of.get(action) ?? NEVER;
  }

  /** The actions that were ever asked for. */
  get all(): ReadonlyMap<ContainmentAction, ActionPosture> {
    return this.#of;
  }

  /** Takes up how an action stood. */
  restore(action: ContainmentAction, posture: ActionPosture): void {
    this.#of.set(action, posture);
  }

  /** Forgets everything. */
  clear(): void {
    this.#of.clear();
    this.changed.clear();
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
        this.#onHeld(action, now.incident, before.incident.severity, -1);
        this.#onHeld(action, now.incident, now.incident.severity, 1);
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
      if (held.length === 0 || !held.some(({ action }) => action === delivery.action))
        this.#engage(entry, delivery, now.incident);
    }
  }

  /** Records a sign of life. */
  hear(entry: EntryOf<'containment.heard'>): void {
    this.#change(entry, entry.data.action, { heard_at: entry.timestamp });
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

  #engage(entry: Entry, delivery: DeliveryRecord, incident: Incident): void {
    this.#onHeld(delivery.action, incident, incident.severity, 1);
    const before = this.of(delivery.action);
    const holders = before.holders + 1;
    const { counts, overdue } = counted(before, undefined, delivery);
    if (before.holders === 0)
      this.#change(entry, delivery.action, { holders, counts, overdue, since: entry.timestamp, release: null });
    else this.#change(entry, delivery.action, { holders, counts, overdue });
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
    this.#onHeld(action, now, now.severity, -1);
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
    const were = onRecord(before);
    if (were.length === 0) return;
    const stays = onRecord(now);
    for (const delivery of were) {
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
    // Most entries change nothing of what is remembered.
    const { since, heard_at, release } = change;
    if (entry.event !== 'containment.confirmed' && (since ?? heard_at ?? release) === undefined) {
      this.#set(action, Object.assign({ ...this.of(action) }, change, { seq: entry.data.seq }));
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
    this.changed.add(action);
  }
}

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
export const placeOf = (wait: Wait | undefined): number => (wait === undefined ? 0 : WAITS.indexOf(wait) + 1);

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
  const ordered: Partial<Record<DeliveryStatus, number>> = {};
  for (const status of DELIVERY_STATUSES) {
    const count = result[status] ?? 0;
    if (count !== 0) ordered[status] = count;
  }
  return ordered;
}
