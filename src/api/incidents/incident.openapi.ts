import * as z from 'zod/mini';
import { COMMAND_TABLE, COMMANDS, type Done } from '../../../machines/commands.ts';
import type { NextTransition } from '../../../machines/transitions.ts';
import type { Incident, LatestReport } from '../../domain/incident.ts';
import { containment } from '../containment/posture.openapi.ts';
import { meaning, named } from '../openapi/described.ts';
import {
  action,
  anything,
  count,
  type FieldsOf,
  hash,
  incidentClass,
  incidentId,
  maybe,
  severity,
  state,
  text,
  time,
} from '../openapi/values.ts';
import { type Entry, ENTRY_EVENTS } from '../../domain/entries.ts';

const claimed = meaning(z.literal(true), 'Nothing but the command itself says who gave it.');

/** When each command was carried out, and who gave it: `contained_at`, `contained_by`. */
const stamps = Object.fromEntries<z.ZodMiniType>(
  COMMANDS.flatMap((name) => {
    const { done } = COMMAND_TABLE[name];
    return [
      [`${done}_at`, maybe(time)],
      [`${done}_by`, maybe(text())],
      [`${done}_by_claimed`, maybe(claimed)],
    ] as const;
  }),
) as FieldsOf<Pick<Incident, `${Done}_at` | `${Done}_by` | `${Done}_by_claimed`>>;

export const incident = named(
  'Incident',
  'An incident as it is now.',
  z.object({
    id: incidentId,
    created_at: time,
    updated_at: time,
    class: incidentClass,
    severity: meaning(severity, 'The highest that was reported.'),
    default_severity: maybe(meaning(severity, 'The severity of its class, where the report lowered it.')),
    reported_severity: maybe(
      meaning(severity, 'The severity in the report, where `min_severity` of the rule raised it.'),
    ),
    state,
    source: text(),
    source_suspicious: maybe(
      meaning(z.literal(true), 'The source mixes scripts, or looks like another source on record.'),
    ),
    clock_uncertain: maybe(
      meaning(z.literal(true), 'The clock had jumped a short time before it was reported: its times may be wrong.'),
    ),
    description: text(),
    evidence: maybe(meaning(anything(), 'Exactly as it was reported.')),
    latest_report: maybe(
      meaning(
        z.object({ severity, description: text(), evidence: maybe(anything()) } satisfies FieldsOf<LatestReport>),
        'What the latest further report says; it came at `last_seen_at`.',
      ),
    ),
    containment_actions: maybe(meaning(z.array(action), 'The actions of its rule, from containment on.')),
    containment: maybe(containment),
    ...stamps,
    note: maybe(meaning(text(), 'The latest note that a person left.')),
    dedup_key: maybe(text()),
    occurrences: meaning(count, 'How many times it was reported.'),
    last_seen_at: maybe(meaning(time, 'When it was last reported again.')),
    version: meaning(count, 'How many entries of the audit log are about it.'),
    hash: meaning(hash, 'entry_hash of the latest of them.'),
  } satisfies FieldsOf<Incident>),
);

export const entry = named(
  'Entry',
  'A line of the audit log.',
  z.object({
    timestamp: time,
    event: z.enum(ENTRY_EVENTS),
    data: meaning(
      z.looseObject({ seq: meaning(count, 'Counts all entries from 1, without gaps.') }),
      'What the event says. An entry about an incident has its identifier, its version and the state it led to. Without ' +
        'the token, `withheld` lists the fields without the words that a service has answered.',
    ),
    prev_hash: meaning(text(), 'entry_hash of the entry before; empty for the first.'),
    entry_hash: hash,
    algorithm: z.enum(['hmac-sha256', 'sha256']),
  } satisfies FieldsOf<Entry>),
);

const nextTransition = z.object({
  event: text(),
  allowed: z.boolean(),
  target: meaning(z.nullable(text()), 'The state that it leads to; null when the state stays the same.'),
  reason: maybe(meaning(text(), 'Why it is not allowed.')),
} satisfies FieldsOf<NextTransition>);

export const nextTransitions = meaning(
  z.array(nextTransition),
  'Every event of the statechart, and what it would do now.',
);

export const transitions = named(
  'Transitions',
  'What each event would do to an incident now.',
  z.object({ id: incidentId, state, transitions: nextTransitions }),
);
