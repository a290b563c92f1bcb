/**
 * The three truths of a containment action, which are never merged: what is asked for, what was carried out, and how it
 * stands now. For the incident and for the posture.
 */
import type { ComponentChildren } from 'preact';
import type { DeliveryStatus } from '../../../machines/delivery.ts';
import type { Channel, ContainmentAction, Directive } from '../../../machines/vocabulary.ts';
import type { DeliveryRecord } from '../../domain/delivery.ts';
import { Since } from '../parts/age.tsx';
import { type ContainmentLook, ContainmentMark } from '../parts/marks.tsx';

/** How a delivery stands now. */
export interface Standing {
  readonly look: ContainmentLook;
  readonly word: string;
  /** Since when: RFC 3339. */
  readonly since?: string;
}

/** The worst first. */
const LOOKS: readonly ContainmentLook[] = ['overdue', 'person', 'unknown', 'asked', 'done', 'released', 'none'];
export const rankOf = ({ look }: Standing): number => LOOKS.indexOf(look);

/** Whether it is drawn in red. */
export const isRed = ({ look }: Standing): boolean => look === 'overdue' || look === 'person';

/** What a status means to an operator. */
export const DELIVERY_WORDS: Readonly<Record<DeliveryStatus, string>> = {
  pending: 'about to be sent',
  delivering: 'being tried',
  recorded: 'waits to be fetched',
  confirmed: 'confirmed',
  failed: 'failed',
  lost: 'lost',
  needs_person: 'needs a person',
  superseded: 'no longer needed',
};

/** The words for as many deliveries in one status. */
export const wordsOfStatus = (status: DeliveryStatus, count: number): string =>
  (count === 1 ? undefined : PLURALS[status]) ?? DELIVERY_WORDS[status];

const PLURALS: Readonly<Partial<Record<DeliveryStatus, string>>> = {
  recorded: 'wait to be fetched',
  needs_person: 'need a person',
};

/** Whether a drill has not sent it: its detail says why. */
export const isSpared = ({ status, last_error: reason = '' }: Pick<DeliveryRecord, 'status' | 'last_error'>): boolean =>
  status === 'superseded' && /^not (?:asked|released): /.test(reason);

/** How a delivery stands; `directive` says what its confirmation means. */
export const standingOf = (delivery: Omit<DeliveryRecord, 'action'>, directive: Directive): Standing => {
  const { status, overdue_at: overdue, asked_at: asked, released_early: early } = delivery;
  if (early !== undefined) return { look: 'released', word: 'Released early', since: early.at };
  if (overdue !== undefined && status !== 'superseded') return { look: 'overdue', word: 'Overdue', since: overdue };
  switch (status) {
    case 'needs_person':
      return { look: 'person', word: 'Needs a person' };
    case 'failed':
      return { look: 'person', word: 'Failed' };
    case 'lost':
      return { look: 'unknown', word: 'Lost' };
    case 'confirmed':
      return directive === 'engage' ? { look: 'done', word: 'In force' } : { look: 'released', word: 'Released' };
    case 'superseded':
      return { look: 'none', word: isSpared(delivery) ? 'Not sent' : 'No longer asked for' };
    case 'pending':
    case 'delivering':
    case 'recorded':
      return { look: 'unknown', word: 'Not known', since: asked };
  }
};

/** The mark of a standing, with its age. */
export const Verdict = ({ standing: { look, word, since } }: { readonly standing: Standing }) => (
  <ContainmentMark look={look}>
    {word}
    {since !== undefined && (
      <>
        {' '}
        <Since at={since} />
      </>
    )}
  </ContainmentMark>
);

interface CellProps {
  readonly label: string;
  readonly isBad?: boolean;
  readonly children: ComponentChildren;
}

/** One of the truths, under its name: a column where there is room for columns. */
export const Cell = ({ label, isBad = false, children }: CellProps) => (
  <div class={`truth ${isBad ? 'bad' : ''} ${label === 'Now' ? 'now' : ''}`}>
    <span class="truth-label">{label}</span>
    <div>{children}</div>
  </div>
);

/** What an action does. */
export const ACTION_MEANINGS: Readonly<Record<ContainmentAction, string>> = {
  freeze_agent: 'The agent does nothing further.',
  disable_airlock: 'Nothing leaves or enters through the airlock.',
  force_vault_relock: 'The vault is locked again.',
  quarantine_model: 'The model is set apart and not used.',
  log_alert: 'Its entry in the audit log is the alert.',
};

/** How a directive reaches whoever carries it out. */
export const CHANNEL_WORDS: Readonly<Record<Channel, string>> = {
  push: 'Sent to its service.',
  poll: 'Its service fetches it.',
  log: '',
  manual: 'A person does it by hand.',
};
