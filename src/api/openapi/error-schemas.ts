import * as z from 'zod/mini';
import { COMMANDS } from '../../../machines/decision.ts';
import type { PolicyFault } from '../../policy/policy.ts';
import { meaning, named } from './described.ts';
import { nextTransitions } from '../incidents/incident.openapi.ts';
import { action, count, type FieldsOf, maybe, state, text } from './values.ts';

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

export const notInForce = named(
  'NotInForce',
  'There is nothing of that action to confirm or to try again.',
  z.object({ error: text(), action: maybe(action), engaged: maybe(z.boolean()) }),
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

export const refusedPolicy = named(
  'RefusedPolicy',
  'What is wrong with the policy, a line each.',
  z.object({
    error: text(),
    faults: z.array(z.object({ file: text(), line: count, message: text() } satisfies FieldsOf<PolicyFault>)),
  }),
);
