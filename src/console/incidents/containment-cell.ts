/** What the list says of an incident's containment, or of the containment of a burst: the worst action first. */
import type { DeliveryRecord } from '../../domain/delivery.ts';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import type { ContainmentLook } from '../parts/marks.tsx';
import { beginning } from '../visible-text.ts';

/** How far the actions are, and the worst of them. */
export interface Contained {
  readonly look: ContainmentLook;
  /** The words for it, without its age. */
  readonly word: string;
  /** Since when: RFC 3339. */
  readonly since?: string;
  /** The worst action, and its cause in the words of whoever refused. */
  readonly action?: ContainmentAction;
  readonly why?: string;
  /** How many actions are carried out, of how many. */
  readonly done: number;
  readonly of: number;
}

type Delivery = Pick<DeliveryRecord, 'action' | 'status'> &
  Partial<DeliveryRecord> & { readonly released_early?: object };

const LONGEST_WHY = 120;

/** The worst first. */
const LOOKS: readonly ContainmentLook[] = ['overdue', 'person', 'unknown', 'asked', 'done', 'released', 'none'];
const rankOf = (look: ContainmentLook): number => LOOKS.indexOf(look);

const lookOf = ({ status, overdue_at: overdue }: Delivery): ContainmentLook => {
  if (overdue !== undefined) return 'overdue';
  if (status === 'needs_person' || status === 'failed') return 'person';
  if (status === 'lost') return 'unknown';
  return status === 'confirmed' ? 'done' : 'asked';
};

const WORDS: Readonly<Record<ContainmentLook, string>> = {
  overdue: 'Overdue',
  person: 'Needs a person',
  unknown: 'Not known',
  asked: 'Asked for',
  done: 'Carried out',
  released: 'Released early',
  none: 'None asked for',
};

/** Summarizes the deliveries of an incident that is not resolved; undefined when it asked for none. */
export const containedBy = (deliveries: readonly Delivery[]): Contained | undefined => {
  if (deliveries.length === 0) return undefined;
  const held = deliveries.filter(
    ({ status, released_early }) => released_early === undefined && status !== 'superseded',
  );
  const worst = held.toSorted((one, other) => rankOf(lookOf(one)) - rankOf(lookOf(other)))[0];
  const done = held.filter((delivery) => lookOf(delivery) === 'done').length;
  if (worst === undefined) return { look: 'released', word: WORDS.released, done: 0, of: 0 };
  const look = lookOf(worst);
  const since = look === 'overdue' ? worst.overdue_at : look === 'asked' ? worst.asked_at : undefined;
  return {
    look,
    word: worst.status === 'failed' ? 'Failed' : WORDS[look],
    done,
    of: held.length,
    ...(look !== 'done' && { action: worst.action }),
    ...(since !== undefined && { since }),
    ...whyOf(worst, look),
  };
};

const whyOf = ({ last_error: error, status, via }: Delivery, look: ContainmentLook): { readonly why?: string } => {
  if (look === 'done') return {};
  if (error !== undefined) return { why: beginning(error, LONGEST_WHY) };
  if (status === 'recorded' && look === 'overdue') return { why: via === 'poll' ? 'not fetched yet' : 'not confirmed' };
  return {};
};

/** The containment of several incidents in one. */
export const together = (all: readonly (Contained | undefined)[]): Contained | undefined => {
  const held = all.filter((one) => one !== undefined);
  const worst = held.reduce<Contained | undefined>((worse, one) => {
    if (worse === undefined || rankOf(one.look) < rankOf(worse.look)) return one;
    const isLonger = one.look === worse.look && (one.since ?? '9') < (worse.since ?? '9');
    return isLonger ? one : worse;
  }, undefined);
  if (worst === undefined) return undefined;
  const sum = (count: 'done' | 'of'): number => held.reduce((so, one) => so + one[count], 0);
  return { ...worst, done: sum('done'), of: sum('of') };
};
