import * as z from 'zod/mini';
import { ROLES } from '../../../machines/vocabulary.ts';
import { COMMANDS } from '../../../machines/decision.ts';
import { meaning, named } from './described.ts';
import { nextTransitions } from '../incidents/incident.openapi.ts';
import { step } from '../recovery/recovery-shape.openapi.ts';
import { action, count, incidentClass, maybe, state, text } from './values.ts';

/** The shapes of errors that several resources give. */
export const error = named(
  'Error',
  'What is wrong, and what to do.',
  z.object({
    error: text(),
    allowed: maybe(meaning(z.array(text()), 'The values, names or methods that are allowed.')),
  }),
);

export const forbidden = named(
  'Refusal',
  'Who would be allowed to do it.',
  z.object({
    error: text(),
    needs: maybe(meaning(z.array(z.enum(ROLES)), 'One of these roles is needed.')),
    roles: maybe(meaning(z.array(z.enum(ROLES)), 'The roles of whoever asks.')),
    sources: maybe(meaning(z.array(text()), 'The sources as which they may report, when that is the reason.')),
    classes: maybe(meaning(z.array(incidentClass), 'The classes that they may report, when that is the reason.')),
    actions: maybe(meaning(z.array(action), 'The actions that are theirs, when that is the reason.')),
    missing: maybe(meaning(z.array(step), 'What the recovery still needs, where that makes it others who may.')),
  }),
);

export const illegalTransition = named(
  'IllegalTransition',
  'What the statechart refuses, and what it allows.',
  z.object({
    error: text(),
    state,
    allowed: z.array(z.enum(COMMANDS)),
    transitions: nextTransitions,
    missing: maybe(meaning(z.array(step), 'What its recovery still needs, when that is why.')),
  }),
);

export const gone = named(
  'Gone',
  'It is archived, or it is a place in another log.',
  z.object({
    error: text(),
    first_seq: maybe(meaning(count, 'The first entry that is still there.')),
    last_seq: maybe(meaning(count, 'The last entry.')),
    log_id: maybe(meaning(z.nullable(text()), 'The identity of this log.')),
    archived: maybe(
      meaning(z.object({ first_seq: count, last_seq: count }), 'The entries among which the incident would be.'),
    ),
  }),
);

export const staleVersion = named(
  'StaleVersion',
  'The incident is at another version.',
  z.object({ error: text(), version: maybe(count) }),
);

export const quotaExceeded = named(
  'QuotaExceeded',
  'The source has to wait.',
  z.object({ error: text(), retry_after: meaning(count, 'After how many seconds it may report again.') }),
);
