import * as z from 'zod/mini';
import { COMMAND_TABLE, COMMANDS, type Done } from '../../../machines/commands.ts';
import { RESOLUTIONS, ROLES } from '../../../machines/vocabulary.ts';
import type { NextTransition } from '../../../machines/transitions.ts';
import type { ContainmentResult } from '../../domain/containment-results.ts';
import type { Incident, IncidentNote, LatestReport } from '../../domain/incident.ts';
import { containment, delivery } from '../containment/posture.openapi.ts';
import { recovery, step } from '../recovery/recovery-shape.openapi.ts';
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

const containmentResult = named(
  'ContainmentResult',
  'What became of one containment action of an incident.',
  z.object({
    action,
    success: meaning(z.boolean(), 'Whether it was carried out, and is in force as far as is known.'),
    error: maybe(
      meaning(text(), 'Why it is not a success. Without the token it has no words of the service’s answer.'),
    ),
    completed_at: meaning(time, 'When the outcome was known.'),
  } satisfies FieldsOf<ContainmentResult>),
);

const note = named(
  'IncidentNote',
  'What a person has noted.',
  z.object({
    at: time,
    by: maybe(text()),
    claimed: maybe(claimed),
    role: maybe(z.enum(ROLES)),
    note: text(),
  } satisfies FieldsOf<IncidentNote>),
);

export const incident = named(
  'Incident',
  'An incident as it is now.',
  z.object({
    id: incidentId,
    created_at: time,
    updated_at: time,
    class: incidentClass,
    severity: meaning(severity, 'The highest that was reported, or that it was raised to.'),
    default_severity: maybe(meaning(severity, 'The severity of its class, where the report lowered it.')),
    reported_severity: maybe(
      meaning(severity, 'The severity in the report, where `min_severity` of the rule or an escalation raised it.'),
    ),
    escalated_by: maybe(
      meaning(
        z.object({ class: incidentClass, reports: count, within_ms: count, to: severity }),
        'The rule of `escalate` in the policy by which it was raised.',
      ),
    ),
    state,
    source: text(),
    source_suspicious: maybe(
      meaning(z.literal(true), 'The source mixes scripts, or looks like another source on record.'),
    ),
    reported_by: maybe(
      meaning(text(), 'The principal whose token the report had; `service-token` is the token that several share.'),
    ),
    clock_uncertain: maybe(
      meaning(z.literal(true), 'The clock had jumped a short time before it was reported: its times may be wrong.'),
    ),
    description: text(),
    evidence: maybe(meaning(anything(), 'Exactly as it was reported.')),
    drill: maybe(meaning(z.literal(true), 'A drill: a rehearsal that counts nowhere.')),
    drill_releases: maybe(
      meaning(z.array(delivery), 'In a drill that has ended: the releases of what it had asked for.'),
    ),
    latest_report: maybe(
      meaning(
        z.object({ severity, description: text(), evidence: maybe(anything()) } satisfies FieldsOf<LatestReport>),
        'What the latest further report says; it came at `last_seen_at`.',
      ),
    ),
    containment_actions: maybe(meaning(z.array(action), 'The actions of its rule, from containment on.')),
    containment: maybe(containment),
    containment_results: maybe(
      meaning(
        z.array(containmentResult),
        'The outcomes that are known of its actions: what still waits, or was asked for again, is not listed.',
      ),
    ),
    ...stamps,
    recovery: maybe(recovery),
    note: maybe(meaning(text(), 'The latest note that a person left.')),
    notes: maybe(meaning(z.array(note), 'The newest notes, oldest first; its history has all of them.')),
    notes_count: maybe(meaning(count, 'How many notes there are.')),
    assignee: maybe(meaning(text(), 'Who works it; not there while nobody does.')),
    assigned_at: maybe(time),
    assigned_by: maybe(text()),
    assigned_by_claimed: maybe(claimed),
    snoozed_until: maybe(meaning(time, 'Until when it is acknowledged and hidden from what needs attention.')),
    snoozed_by: maybe(text()),
    snoozed_by_claimed: maybe(claimed),
    reopens: maybe(meaning(incidentId, 'The resolved incident that this one takes up again.')),
    reopened_as: maybe(meaning(incidentId, 'The incident that has taken this one up again.')),
    reopened_at: maybe(time),
    resolution: maybe(meaning(z.enum(RESOLUTIONS), 'What it was, where the person who resolved it has said so.')),
    dedup_key: maybe(text()),
    occurrences: meaning(count, 'How many times it was reported.'),
    last_seen_at: maybe(meaning(time, 'When it was last reported again.')),
    version: meaning(count, 'How many entries of the audit log are about it.'),
    hash: meaning(hash, 'entry_hash of the latest of them.'),
    withheld: maybe(meaning(z.array(text()), 'What this reader does not get: evidence, where it is restricted.')),
  } satisfies FieldsOf<Incident & { readonly withheld: never }>),
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
        'the token, `withheld` lists the fields without the words that a service has answered, and the evidence that is ' +
        'restricted.',
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
  missing: maybe(meaning(z.array(step), 'What the recovery still needs, when that is the reason.')),
  needs: maybe(
    meaning(
      z.array(z.enum(ROLES)),
      'The roles that may do it, one of them, where a recovery makes that others than usual.',
    ),
  ),
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
