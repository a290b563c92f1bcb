import * as z from 'zod/mini';
import { COMMANDS } from '../../../machines/decision.ts';
import { meaning, named } from './described.ts';
import { nextTransitions } from '../incidents/incident.openapi.ts';
import { count, maybe, state, text } from './values.ts';

/** What an error says beside `error`: what there is to choose from, what is the case, what is wrong with a policy. */
export const error = named(
  'Error',
  'What was wrong, and what to do.',
  z.object({
    error: text(),
    allowed: maybe(meaning(z.array(text()), 'The values, names or methods that there are to choose from.')),
  }),
);

export const illegalTransition = named(
  'IllegalTransition',
  'What the statechart does not allow, and what it does.',
  z.object({ error: text(), state, allowed: z.array(z.enum(COMMANDS)), transitions: nextTransitions }),
);

export const gone = named(
  'Gone',
  'What was asked for has been archived.',
  z.object({ error: text(), first_seq: meaning(count, 'The first entry that is there.') }),
);

export const staleVersion = named(
  'StaleVersion',
  'The incident is at another version.',
  z.object({ error: text(), version: maybe(count) }),
);
