import * as z from 'zod/mini';
import { ACTIONS, CLASSES } from '../../../machines/vocabulary.ts';
import type { PolicyDocument } from '../../policy/document.ts';
import type { Policy } from '../../policy/policy.ts';
import { meaning, named } from '../openapi/described.ts';
import { action, count, type FieldsOf, hash, maybe, severity, text, time } from '../openapi/values.ts';
import { NOTIFIED_EVENTS } from '../../domain/entries.ts';

/** What identifies a policy. */
export const policyFields = {
  version: z.literal(1),
  source: z.enum(['file', 'built-in']),
  digest: meaning(hash, 'The same for the same rules, targets and webhooks, whatever the layout of the file.'),
  loaded_at: time,
} satisfies Partial<FieldsOf<Policy>>;

const endpoint = z.object({ url: text(), action: text() });

const target = z.object({
  engage: maybe(endpoint),
  release: maybe(endpoint),
  broker: maybe(z.object({ requests: text(), results: text(), action: text() })),
  prove: maybe(z.boolean()),
  timeout: maybe(meaning(count, 'In milliseconds.')),
  confirm_every: maybe(meaning(count, 'In milliseconds.')),
  confirm: maybe(z.enum(['answer', 'callback'])),
  final: maybe(meaning(z.array(count), 'The statuses after which it is not tried again.')),
});

export const policy = named(
  'Policy',
  'The policy in force, completed from the built-in table. The paths of tokens are left out. ' +
    'Without the token, so are those of targets and webhooks: `url` is an origin.',
  z.object({
    ...policyFields,
    path: maybe(text()),
    addresses: maybe(meaning(z.literal('origin'), 'There where the token would show more of the addresses.')),
    rules: z.object(
      Object.fromEntries(
        CLASSES.map((name) => [
          name,
          z.object({
            auto_contain: z.boolean(),
            actions: z.array(action),
            default_severity: severity,
            min_severity: maybe(severity),
          }),
        ]),
      ),
    ),
    targets: z.partialRecord(z.enum(ACTIONS), target),
    attention_after: meaning(count, 'In milliseconds.'),
    overdue_after: meaning(count, 'In milliseconds.'),
    burst: maybe(z.object({ reports: count, within: meaning(count, 'In milliseconds.') })),
    report_bytes_per_day: maybe(count),
    archive_after: maybe(meaning(count, 'In milliseconds.')),
    parts: meaning(z.array(text()), 'What it has, by name: a policy is compared by them with the one before.'),
    notify: z.array(
      z.object({ url: text(), prove: maybe(z.boolean()), events: maybe(z.array(z.enum(NOTIFIED_EVENTS))) }),
    ),
  } satisfies FieldsOf<PolicyDocument>),
);

/** Which access file is in force. */
export const accessNow = meaning(
  z.object({
    source: z.enum(['file', 'none']),
    path: maybe(text()),
    digest: maybe(text()),
    loaded_at: maybe(time),
    principals: maybe(meaning(count, 'How many it names.')),
  }),
  'The access file in force. With none, whoever has the service token has every role.',
);
