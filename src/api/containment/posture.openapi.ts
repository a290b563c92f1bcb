import * as z from 'zod/mini';
import { DELIVERY_STATUSES } from '../../../machines/delivery.ts';
import { ACTIONS, BY_HAND, CHANNELS, CONTAINMENT_STATUSES, DIRECTIVES, ROLES } from '../../../machines/vocabulary.ts';
import {
  type ActionView,
  type Asked,
  type CarriedOut,
  type DeliveryView,
  type NotKnown,
  RELEASE_BY_HAND,
} from '../../containment/posture-reads.ts';
import type { HolderGroup } from '../../projections/holder-groups.ts';
import type { EarlyRelease } from '../../projections/posture.ts';
import type { Confirmed } from '../../containment/confirmations.ts';
import type { DeliveryRecord, ReleasedEarly } from '../../domain/delivery.ts';
import type { Containment } from '../../domain/incident.ts';
import { meaning, named } from '../openapi/described.ts';
import {
  action,
  count,
  type FieldsOf,
  incidentClass,
  incidentId,
  maybe,
  severity,
  text,
  time,
} from '../openapi/values.ts';
import { OBSERVED } from '../../domain/entries.ts';

const receipt = named(
  'Receipt',
  'How a service said that it carried out an action: in its answer to the delivery, or in a confirmation of its own.',
  z.discriminatedUnion('by', [
    z.object({ by: z.literal('answer'), status: maybe(z.int()), body: maybe(meaning(text(), 'With the token only.')) }),
    z.object({ by: z.literal('confirmation'), observed: maybe(z.enum(OBSERVED)) }),
  ]),
);

const channel = z.enum([...CHANNELS, BY_HAND]);

const releasedEarlyFields = {
  at: time,
  by: maybe(text()),
  claimed: maybe(meaning(z.literal(true), 'Nothing but the request itself says who it was.')),
  role: maybe(z.enum(ROLES)),
  reason: text(),
} satisfies FieldsOf<ReleasedEarly>;

/** The fields of a delivery. */
const deliveryFields = {
  status: z.enum(DELIVERY_STATUSES),
  via: meaning(
    channel,
    'push: it is sent to its service; poll: its service asks for it; log: it is an entry of the audit log; manual: a ' +
      'person does it by hand.',
  ),
  attempts: meaning(count, 'How many times it was sent.'),
  waited_ms: meaning(count, 'The pauses between its attempts so far, in milliseconds.'),
  asked_at: meaning(time, 'When it was asked for.'),
  asked_seq: meaning(count, 'The entry of the log that asked for it.'),
  overdue_at: maybe(meaning(time, 'When it was found overdue: not confirmed in time; given while it is.')),
  last_error: maybe(meaning(text(), 'Without the token it has no words of the service’s answer.')),
  next_attempt_at: maybe(time),
  confirmed_at: maybe(time),
  receipt: maybe(receipt),
  released_early: maybe(
    meaning(
      z.object(releasedEarlyFields),
      'Given once a person has released it early: then it is not asked for any more.',
    ),
  ),
  round: maybe(meaning(count, 'How often it was released early before it was asked for again.')),
} satisfies Omit<FieldsOf<DeliveryRecord>, 'action'>;

export const delivery = z.object({ action, ...deliveryFields } satisfies FieldsOf<DeliveryRecord>);

export const containment = named(
  'Containment',
  'How far the actions of an incident are.',
  z.object({
    status: meaning(
      z.enum(CONTAINMENT_STATUSES),
      'How far containment is; for a resolved incident, how far it was in the end.',
    ),
    actions: z.array(delivery),
  } satisfies FieldsOf<Containment>),
);

const directive = z.enum(DIRECTIVES);

const group = named(
  'HolderGroup',
  'The incidents of one class and source that hold an action.',
  z.object({
    class: incidentClass,
    source: text(),
    count,
    severity: meaning(severity, 'The worst of theirs.'),
    first: maybe(meaning(time, 'When the oldest of those that are named was reported.')),
    ids: meaning(z.array(incidentId), 'The oldest of them, at most 20; the first 20 groups have them.'),
    more: meaning(count, 'How many more there are.'),
  } satisfies FieldsOf<HolderGroup>),
);

export const actionPosture = named(
  'ActionPosture',
  'How a containment action stands.',
  z.object({
    action,
    engaged: z.boolean(),
    verified: maybe(
      meaning(
        z.literal(false),
        'Given while that is not yet proved from the log: then do not take "not engaged" for a release.',
      ),
    ),
    since: meaning(z.nullable(time), 'Since when that is asked for; null when it never was.'),
    asked: z.nullable(
      meaning(
        z.object({ directive, since: time } satisfies FieldsOf<Asked>),
        'What is asked for now; null when the action was never asked for.',
      ),
    ),
    carried_out: z.nullable(
      meaning(
        z.object({
          incidents: meaning(count, 'For how many incidents.'),
          at: meaning(time, 'When the oldest confirmation came.'),
          by: meaning(
            z.enum(['answer', 'confirmation', 'log']),
            'Who says so: the answer of the target, a confirmation of its service, or the log itself.',
          ),
          heard_at: meaning(z.nullable(time), 'When its service last reported.'),
        } satisfies FieldsOf<CarriedOut>),
        'What of it is known to be carried out; null when nothing is.',
      ),
    ),
    not_known: z.nullable(
      meaning(
        z.object({
          incidents: meaning(count, 'For how many incidents.'),
          overdue: meaning(count, 'How many of them are overdue.'),
          oldest_asked_at: meaning(z.nullable(time), 'When the one that has waited longest was asked for.'),
        } satisfies FieldsOf<NotKnown>),
        'Of what it is not known that it is carried out; null when it is known of all.',
      ),
    ),
    to_do: maybe(
      meaning(
        z.literal(RELEASE_BY_HAND),
        'Given while a person has to release it by hand, as its policy says; until the release is confirmed.',
      ),
    ),
    holders: meaning(count, 'How many unresolved incidents hold it.'),
    held_by: meaning(z.array(incidentId), 'The oldest of them, at most 100.'),
    holder_groups: maybe(
      meaning(z.array(group), 'All of them, by class and source: the worst severity first; at most 200.'),
    ),
    more_groups: maybe(meaning(count, 'How many more groups there are.')),
    released_early: maybe(
      meaning(
        z.array(z.object({ incident: incidentId, ...releasedEarlyFields } satisfies FieldsOf<EarlyRelease>)),
        'The newest 20 unresolved incidents of which a person has released it early.',
      ),
    ),
    released_early_count: maybe(meaning(count, 'How many these are.')),
    via: meaning(channel, 'How it reaches its service now.'),
    heard_at: meaning(z.nullable(time), 'When its service last reported.'),
    delivery: z.nullable(
      meaning(
        z.object({
          incident: incidentId,
          directive,
          ...deliveryFields,
          counts: meaning(
            z.partialRecord(z.enum(DELIVERY_STATUSES), count),
            'How many deliveries of the holders have each status.',
          ),
        } satisfies FieldsOf<DeliveryView>),
        'The delivery that matters most; null when there was none.',
      ),
    ),
  } satisfies FieldsOf<ActionView>),
);

export const posture = named(
  'Posture',
  'How every containment action stands.',
  z.object(Object.fromEntries(ACTIONS.map((name) => [name, actionPosture]))),
);

const remaining = meaning(count, 'How many are left for the next request.');

export const confirmed = named(
  'Confirmed',
  'What a confirmation changed.',
  z.object({
    action,
    directive,
    confirmed: meaning(count, 'How many deliveries are confirmed now.'),
    lost: meaning(count, 'How many deliveries turned out to be lost.'),
    remaining,
  } satisfies FieldsOf<Confirmed & { action: unknown; directive: unknown }>),
);

export const retried = named(
  'Retried',
  'How many deliveries are tried again.',
  z.object({ action, retried: count, remaining }),
);
