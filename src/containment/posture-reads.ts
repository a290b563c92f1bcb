/** The posture as services and people read it, and waiting for it to change. */
import type { DeliveryStatus } from '../../machines/delivery.ts';
import { BY_HAND, type ContainmentAction, type Directive, type Channel } from '../../machines/vocabulary.ts';
import type { Targets } from '../policy/targets.ts';
import { channelOf } from '../policy/targets.ts';
import type { DeliveryRecord } from '../domain/delivery.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import { type ActionPosture, WAITS } from '../domain/posture.ts';
import type { EarlyRelease } from '../projections/posture.ts';
import type { HolderGroup } from '../projections/holder-groups.ts';

/** How many holders are named; `holders` counts them all. */
const MOST_NAMED = 100;

/** How much is shown of those who hold an action; the counts count all of them. */
const GROUPS = { groups: 200, named: 20, ids: 20 } as const;
/** How many early releases of an action are shown; `released_early_count` counts them all. */
const MOST_EARLY = 20;

/**
 * How one action stands. Times are RFC 3339. It keeps three things apart: what is `asked` for, what of it is known to
 * be `carried_out`, and of what that is `not_known`.
 */
export interface ActionView {
  readonly action: ContainmentAction;
  readonly engaged: boolean;
  /** Given while that is not yet proved from the log since the start: "not engaged" may be what somebody wrote. */
  readonly verified?: false;
  /** Since when that is asked for; null when it never was. */
  readonly since: string | null;
  readonly asked: Asked | null;
  readonly carried_out: CarriedOut | null;
  readonly not_known: NotKnown | null;
  /** What a person has to do: nothing at the other end can be undone by a request. Until it is confirmed. */
  readonly to_do?: typeof RELEASE_BY_HAND;
  /** How many unresolved incidents hold it. */
  readonly holders: number;
  /** The oldest of them, at most 100. */
  readonly held_by: readonly string[];
  /** All of them, by class and source: the worst severity first, then the most; at most 200. Not there for none. */
  readonly holder_groups?: readonly HolderGroup[];
  /** How many more groups there are, when there are. */
  readonly more_groups?: number;
  /** The newest 20 unresolved incidents of which a person has released it early, and how many there are, when there are. */
  readonly released_early?: readonly EarlyRelease[];
  readonly released_early_count?: number;
  /** How a directive reaches its service now. */
  readonly via: Channel;
  /** When its service was last heard of. */
  readonly heard_at: string | null;
  /** How far it is known to have been carried out; null when nothing was ever asked for. */
  readonly delivery: DeliveryView | null;
}

export const RELEASE_BY_HAND = 'release by hand';

/** What is asked for now; null when the action was never asked for. */
export interface Asked {
  readonly directive: Directive;
  /** Since when: the first of the incidents that hold it, or the resolution of the last one. */
  readonly since: string;
}

/** What of it is known to be carried out; null when nothing is. */
export interface CarriedOut {
  /** For how many incidents. */
  readonly incidents: number;
  /** The oldest confirmation: when it came, and whether in an answer, by itself, or by an entry of the log. */
  readonly at: string;
  readonly by: 'answer' | 'confirmation' | 'log';
  /** When its service was last heard of. */
  readonly heard_at: string | null;
}

/** Of what of it that is not known; null when all of it is. */
export interface NotKnown {
  /** For how many incidents. */
  readonly incidents: number;
  /** How many of them are overdue. */
  readonly overdue: number;
  /** When the one that has waited longest was asked for; null when all were carried out once, and lost. */
  readonly oldest_asked_at: string | null;
}

/**
 * The most significant delivery: a confirmed engage if there is one, because the action is then known to be in force,
 * else the one in the worst status.
 */
export interface DeliveryView extends Omit<DeliveryRecord, 'action'> {
  readonly incident: string;
  readonly directive: Directive;
  /** How many deliveries of the holders have each status. */
  readonly counts: Readonly<Partial<Record<DeliveryStatus, number>>>;
}

export interface PostureReadsDependencies {
  /** @throws RecorderError `log_unavailable` while the posture is behind the log */
  readonly current: () => Pick<CurrentReads, 'posture' | 'incident'>;
  readonly targets: () => Targets;
  /** Whether it is proved from the log how many incidents hold an action. */
  readonly isProved: (action: ContainmentAction) => boolean;
  /** The identity of the log, when it is known. */
  readonly logId: () => string | undefined;
}

/** How much of the identity of the log a version repeats, in hex digits. */
const IDENTITY_LENGTH = 12;

/** The most significant status first. */
const ORDER: readonly DeliveryStatus[] = [
  'confirmed',
  'failed',
  'needs_person',
  'lost',
  'delivering',
  'pending',
  'recorded',
];

/** The version of each set of actions that was looked at. */
type Versions = Map<string, string | undefined>;

export class PostureReads {
  readonly #dependencies: PostureReadsDependencies;
  readonly #waiting = new Set<(versions: Versions) => void>();
  readonly #stopping = new AbortController();

  constructor(dependencies: PostureReadsDependencies) {
    this.#dependencies = dependencies;
  }

  /** How an action stands. @throws RecorderError `log_unavailable` while that is behind the log */
  read(action: ContainmentAction): ActionView {
    const current = this.#dependencies.current();
    const posture = current.posture.of(action);
    const { holders, since, heard_at } = posture;
    const engaged = holders > 0;
    const delivery = engaged ? this.#engagement(action, posture) : releaseOf(posture);
    return {
      action,
      engaged,
      ...(this.#dependencies.isProved(action) ? {} : { verified: false }),
      since,
      asked: since === null ? null : { directive: engaged ? 'engage' : 'release', since },
      carried_out: carriedOut(action, posture, delivery),
      not_known: engaged ? this.#notKnown(action, posture) : releaseNotKnown(action, posture),
      ...(!engaged && waitsForHand(delivery) ? { to_do: RELEASE_BY_HAND } : {}),
      holders,
      held_by: current.posture.holders(action, MOST_NAMED).map(({ incident }) => incident),
      ...holdersOf(current.posture, action, holders),
      via: channelOf(this.#dependencies.targets(), action, engaged ? 'engage' : 'release'),
      heard_at,
      delivery,
    };
  }

  /** Those of which what `read` gives is not proved from the log. */
  unverified(actions: readonly ContainmentAction[]): readonly ContainmentAction[] {
    return actions.filter((action) => !this.#dependencies.isProved(action));
  }

  /**
   * A word that changes whenever what `read` gives for one of the actions changes, but for `verified`. It is another for
   * another log. @throws RecorderError like `read`
   */
  versionOf(actions: readonly ContainmentAction[]): string {
    const targets = this.#dependencies.targets();
    const { posture } = this.#dependencies.current();
    const versions = actions.map((action) => {
      const { seq, holders, since } = posture.of(action);
      const channel = channelOf(targets, action, holders > 0 ? 'engage' : 'release').slice(0, 2);
      // After an old copy of the log was put back the same entry can mean the opposite, but not since the same time.
      return `${seq}${channel}${since === null ? '' : Date.parse(since).toString(36)}`;
    });
    return [(this.#dependencies.logId() ?? '').slice(0, IDENTITY_LENGTH), ...versions].join('-');
  }

  /** How many requests wait for a change. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Waits until the version of these actions is not `version` any more, or for a time, or until `signal` aborts. */
  async change(
    actions: readonly ContainmentAction[],
    version: string,
    wait: number,
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted || this.#stopping.signal.aborted || this.#versionNow(actions) !== version) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const key = actions.join();
    const look = (versions: Versions): void => {
      if (!versions.has(key)) versions.set(key, this.#versionNow(actions));
      if (versions.get(key) !== version || this.#stopping.signal.aborted) resolve();
    };
    const timer = setTimeout(resolve, wait);
    this.#waiting.add(look);
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(look);
  }

  /** The version, or undefined while it is not known. */
  #versionNow(actions: readonly ContainmentAction[]): string | undefined {
    try {
      return this.versionOf(actions);
    } catch {
      return undefined;
    }
  }

  /** Makes those that wait look again. */
  changed(): void {
    // Many may wait for the same actions.
    const versions: Versions = new Map();
    for (const look of this.#waiting) look(versions);
  }

  /** Ends all waiting. */
  stop(): void {
    this.#stopping.abort();
    this.changed();
  }

  #notKnown(action: ContainmentAction, { holders, counts, overdue }: ActionPosture): NotKnown | null {
    const incidents = holders - (counts.confirmed ?? 0);
    if (incidents === 0 || action === 'log_alert') return null;
    const { posture } = this.#dependencies.current();
    const asked = WAITS.flatMap((wait) => posture.waiting(action, wait, 1)).map(({ askedAt }) => askedAt);
    const oldest_asked_at = asked.length === 0 ? null : new Date(Math.min(...asked)).toISOString();
    return { incidents, overdue, oldest_asked_at };
  }

  #engagement(action: ContainmentAction, { counts }: ActionPosture): DeliveryView | null {
    const status = ORDER.find((candidate) => counts[candidate] !== undefined);
    const current = this.#dependencies.current();
    const [holder] = status === undefined ? [] : current.posture.withStatus(action, status, 1);
    const record = current
      .incident(holder?.incident ?? '')
      ?.incident.containment?.actions.find((delivery) => delivery.action === action);
    if (holder === undefined || record === undefined) return null;
    return viewOf(holder.incident, 'engage', record, counts);
  }
}

/** All who hold an action, by class and source, and who has released it early. */
function holdersOf(
  posture: CurrentReads['posture'],
  action: ContainmentAction,
  holders: number,
): Pick<ActionView, 'holder_groups' | 'more_groups' | 'released_early' | 'released_early_count'> {
  const { groups, all } = holders === 0 ? { groups: [], all: 0 } : posture.groups(action, GROUPS);
  const more = all - groups.length;
  const early = posture.releasedEarly(action, MOST_EARLY);
  const earlyCount = early.length < MOST_EARLY ? early.length : posture.releasedEarlyCount(action);
  return {
    ...(groups.length === 0 ? {} : { holder_groups: groups }),
    ...(more === 0 ? {} : { more_groups: more }),
    ...(earlyCount === 0 ? {} : { released_early: early, released_early_count: earlyCount }),
  };
}

/**
 * The most significant delivery is a confirmed one if there is one. What is an entry of the log is always carried out.
 */
function carriedOut(
  action: ContainmentAction,
  { holders, since, heard_at }: ActionPosture,
  delivery: DeliveryView | null,
): CarriedOut | null {
  if (action === 'log_alert') {
    return since === null ? null : { incidents: Math.max(holders, 1), at: since, by: 'log', heard_at };
  }
  if (delivery?.status === 'confirmed') {
    const { counts, confirmed_at, asked_at, receipt } = delivery;
    return { incidents: counts.confirmed ?? 1, at: confirmed_at ?? asked_at, by: receipt?.by ?? 'log', heard_at };
  }
  return null;
}

function releaseNotKnown(action: ContainmentAction, { release, since }: ActionPosture): NotKnown | null {
  if (since === null || action === 'log_alert' || release?.delivery.status === 'confirmed') return null;
  // The incident may have left the record, and with it what is known of its release.
  if (release === null) return { incidents: 0, overdue: 0, oldest_asked_at: null };
  const { asked_at, delivery } = release;
  return { incidents: 1, overdue: delivery.overdue_at === undefined ? 0 : 1, oldest_asked_at: asked_at };
}

/** Whether a release waits for a person who carries it out by hand and confirms it. */
const waitsForHand = (delivery: DeliveryView | null): boolean =>
  delivery?.via === BY_HAND && delivery.status === 'recorded';

const releaseOf = ({ release }: ActionPosture): DeliveryView | null =>
  release === null ? null : viewOf(release.incident, 'release', release.delivery, { [release.delivery.status]: 1 });

const viewOf = (
  incident: string,
  directive: Directive,
  { action: _action, ...delivery }: DeliveryRecord,
  counts: DeliveryView['counts'],
): DeliveryView => ({ incident, directive, ...delivery, counts });
