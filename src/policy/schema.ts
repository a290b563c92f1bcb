/**
 * The schema of a policy file.
 *
 * Parsing completes the file: a class that it leaves out, or a key that a rule leaves out, takes its value from the
 * built-in table. Each message is next to the rule that it explains. A new section of the file is a new key of
 * `PolicyFile`.
 */
import * as z from 'zod/mini';
import { ACTIONS, CLASSES, RECOVERY_STEPS, SEVERITIES } from '../../machines/vocabulary.ts';
import type { IncidentClass, RecoveryStep } from '../../machines/vocabulary.ts';
import { BUILT_IN_RULES } from './defaults.ts';
import { closed, evenIfFaulty, evenIfItemsAreFaulty, oneOf } from './strict-schemas.ts';
import { DEFAULT_ATTENTION_AFTER, DEFAULT_OVERDUE_AFTER } from './policy.ts';
import { faultOfSource } from '../domain/source-name.ts';
import { escalate, repeat } from './escalation-schema.ts';
import { notify } from './notice-schema.ts';
import { alerting, duration, targets, wholeNumber } from './target-schema.ts';
import { shown } from './fault-messages.ts';

const trueOrFalse = z.boolean({
  error: ({ input }) =>
    `must be true or false, found ${shown(input)} (yes, no, on, off and anything in quotes are text)`,
});

const actions = z
  .array(oneOf('action', ACTIONS), {
    error: ({ input }) => `must be a list of actions (${ACTIONS.join(', ')}), or [] for none, found ${shown(input)}`,
  })
  .check(
    z.superRefine((list, context) => {
      const repeated = [...list.entries()].filter(([index, action]) => list.indexOf(action) < index);
      for (const [index, action] of repeated)
        context.addIssue({ code: 'custom', path: [index], message: `${shown(action)} is listed before in this rule` });
    }, evenIfItemsAreFaulty),
  );

/** The steps that a rule asks for, and whether they may be done from the fleet. */
const recovery = closed('step', {
  ...(Object.fromEntries(RECOVERY_STEPS.map((step) => [step, z.exactOptional(trueOrFalse)])) as Record<
    RecoveryStep,
    z.ZodMiniExactOptional<typeof trueOrFalse>
  >),
  from_fleet: z.exactOptional(trueOrFalse),
});
/** In characters: it is shown with each incident of its class. */
const LONGEST_RUNBOOK = 1000;

const faultOfRunbook = ({ input }: { readonly input?: unknown }): string =>
  `must be a URL or a text of 1 to ${LONGEST_RUNBOOK} characters, found ${shown(input)}`;

const runbook = z
  .string({ error: faultOfRunbook })
  .check(z.refine((text) => text.trim() !== '' && text.length <= LONGEST_RUNBOOK, { error: faultOfRunbook }));

const rule = (incidentClass: IncidentClass) => {
  const builtIn = BUILT_IN_RULES[incidentClass];
  return closed('key', {
    auto_contain: z._default(trueOrFalse, builtIn.auto_contain),
    actions: z._default(actions, [...builtIn.actions]),
    default_severity: z._default(oneOf('severity', SEVERITIES), builtIn.default_severity),
    min_severity: z.exactOptional(oneOf('severity', SEVERITIES)),
    answer_after: z.exactOptional(duration('1s', '40s')),
    recovery: z.exactOptional(recovery),
    repeat: z.exactOptional(repeat),
    runbook: z.exactOptional(runbook),
  }).check(
    z.refine((given) => !(given.auto_contain && given.actions?.length === 0), {
      ...evenIfFaulty,
      path: ['actions'],
      error: 'auto_contain is true and there is no action to take; list actions or set auto_contain: false',
    }),
  );
};

const rules = closed(
  'class',
  Object.fromEntries(CLASSES.map((incidentClass) => [incidentClass, z.prefault(rule(incidentClass), {})])) as Record<
    IncidentClass,
    z.ZodMiniPrefault<ReturnType<typeof rule>>
  >,
);

const burst = closed('key', { reports: wholeNumber(1, 100_000), within: duration('1s', '24h') });

/** Each is looked at every second, and shown in the health. */
const MOST_EXPECTED = 32;

const guard = closed('key', {
  source: z.string({ error: ({ input }) => `must be the name of a source, found ${shown(input)}` }).check(
    z.refine((name) => faultOfSource(name) === undefined, {
      error: ({ input }) => faultOfSource(String(input)) ?? 'is no name of a source',
    }),
  ),
  every: duration('1s', '168h'),
});

const expected = z
  .array(guard, { error: ({ input }) => `must be a list of guards ({source, every}), found ${shown(input)}` })
  .check(
    z.maxLength(MOST_EXPECTED, { ...evenIfItemsAreFaulty, error: `must have at most ${MOST_EXPECTED} guards` }),
    z.superRefine((list, context) => {
      const sources = (Array.isArray(list) ? list : []).map((one) => (one as { source?: unknown } | null)?.source);
      for (const [index, source] of sources.entries()) {
        if (source === undefined || sources.indexOf(source) === index) continue;
        context.addIssue({ code: 'custom', path: [index, 'source'], message: 'is listed before', continue: true });
      }
    }, evenIfItemsAreFaulty),
  );

/** The whole file. A section without content counts as empty. */
export const PolicyFile = closed('key', {
  version: z.literal(1, {
    error: ({ input }) => (input === undefined ? 'is missing; write version: 1' : `must be 1, found ${shown(input)}`),
  }),
  rules: z.prefault(
    z.pipe(
      z.transform((value) => value ?? {}),
      rules,
    ),
    {},
  ),
  targets: z.prefault(
    z.pipe(
      z.transform((value) => value ?? {}),
      targets,
    ),
    {},
  ),
  notify: z.prefault(
    z.pipe(
      z.transform((value) => value ?? []),
      notify,
    ),
    [],
  ),
  attention_after: z._default(z.optional(duration('1s', '8760h')), DEFAULT_ATTENTION_AFTER),
  overdue_after: z._default(z.optional(duration('1s', '24h')), DEFAULT_OVERDUE_AFTER),
  burst: z.exactOptional(burst),
  report_bytes_per_day: z.exactOptional(wholeNumber(1, 1e12)),
  alerting: z.prefault(
    z.pipe(
      z.transform((value) => value ?? {}),
      alerting,
    ),
    {},
  ),
  escalate: z.exactOptional(
    z.pipe(
      z.transform((value) => value ?? []),
      escalate,
    ),
  ),
  expect: z.exactOptional(expected),
  archive_after: z.exactOptional(duration('1d', '36500d')),
});
