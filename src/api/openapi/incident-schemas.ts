import * as z from 'zod/mini';
import { COMMAND_TABLE, COMMANDS, type Done } from '../../../machines/commands.ts';
import { CLASSES, SEVERITIES, type Severity, STATES } from '../../../machines/vocabulary.ts';
import type { NextTransition } from '../../../machines/transitions.ts';
import type { Incident } from '../../domain/incident.ts';
import type { ActivityReading, Durations } from '../../projections/activity.ts';
import type { StatisticsReading } from '../../projections/statistics.ts';
import { containment } from './containment-schemas.ts';
import { meaning, named } from './described.ts';
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
} from './words.ts';
import { type Entry, ENTRY_EVENTS } from '../../domain/entries.ts';

/** When each command was carried out, and who gave it: `contained_at`, `contained_by`. */
const stamps = Object.fromEntries<z.ZodMiniType>(
  COMMANDS.flatMap((name) => {
    const { done } = COMMAND_TABLE[name];
    return [
      [`${done}_at`, maybe(time)],
      [`${done}_by`, maybe(text())],
    ] as const;
  }),
) as FieldsOf<Pick<Incident, `${Done}_at` | `${Done}_by`>>;

export const incident = named(
  'Incident',
  'An incident as it is now.',
  z.object({
    id: incidentId,
    created_at: time,
    updated_at: time,
    class: incidentClass,
    severity,
    state,
    source: text(),
    description: text(),
    evidence: maybe(meaning(anything(), 'As it was reported, exactly.')),
    containment_actions: maybe(meaning(z.array(action), 'The actions that applied, once contained.')),
    containment: maybe(containment),
    ...stamps,
    note: maybe(meaning(text(), 'The latest note that a person left.')),
    dedup_key: maybe(text()),
    occurrences: meaning(count, 'How often it was reported.'),
    last_seen_at: maybe(meaning(time, 'When it was reported again.')),
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
      'What the event says. An entry about an incident has its identifier, its version and the state it led to.',
    ),
    prev_hash: meaning(text(), 'entry_hash of the entry before; empty for the first.'),
    entry_hash: hash,
    algorithm: z.enum(['hmac-sha256', 'sha256']),
  } satisfies FieldsOf<Entry>),
);

const countsOf = (names: readonly string[]) => z.object(Object.fromEntries(names.map((name) => [name, count])));

export const statistics = named(
  'Statistics',
  'How many incidents there are.',
  z.object({
    total_incidents: count,
    open_incidents: meaning(count, 'Open or contained.'),
    contained_count: meaning(count, 'How many ever were contained.'),
    resolved_count: meaning(count, 'How many ever were resolved.'),
    by_class: countsOf(CLASSES),
    by_state: countsOf(STATES),
    by_severity: countsOf(SEVERITIES),
    open_by_severity: countsOf(SEVERITIES),
  } satisfies FieldsOf<StatisticsReading>),
);

const duration = meaning(
  z.nullable(count),
  'In milliseconds, right to a tenth; null where there is nothing to measure.',
);

const durations = z.object({
  count,
  median_ms: duration,
  p90_ms: duration,
  hourly_median_ms: meaning(z.array(duration), 'One for each hour, by when it was over.'),
} satisfies FieldsOf<Durations>);

export const activity = named(
  'Activity',
  'What happened hour by hour, oldest first, to the incidents that are on record.',
  z.object({
    from: meaning(time, 'The beginning of the first hour.'),
    hours: count,
    reported: z.object(
      Object.fromEntries(SEVERITIES.map((name) => [name, z.array(count)])) as Record<
        Severity,
        z.ZodMiniArray<typeof count>
      >,
    ),
    time_to_containment: meaning(durations, 'Until all actions of an incident were confirmed.'),
    time_to_resolution: durations,
  } satisfies FieldsOf<ActivityReading>),
);

const nextTransition = z.object({
  event: text(),
  allowed: z.boolean(),
  target: meaning(z.nullable(text()), 'The state that it leads to; null when it stays.'),
  reason: maybe(meaning(text(), 'Why it is not allowed.')),
} satisfies FieldsOf<NextTransition>);

export const nextTransitions = meaning(
  z.array(nextTransition),
  'Every event of the statechart, and what it would do now.',
);

export const transitions = named(
  'Transitions',
  'What can become of an incident now.',
  z.object({ id: incidentId, state, transitions: nextTransitions }),
);
