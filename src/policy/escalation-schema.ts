/** The schemas of what a policy says about reports among each other: `escalate`, and `repeat` in a rule. */
import * as z from 'zod/mini';
import { CLASSES, SEVERITIES } from '../../machines/vocabulary.ts';
import { MOST_REPORTS } from '../domain/report-times.ts';
import { shown } from './fault-messages.ts';
import { closed, evenIfItemsAreFaulty, oneOf } from './strict-schemas.ts';
import { duration, wholeNumber } from './target-schema.ts';

/** How many rules of escalation there may be: each report is compared with those of its class. */
const MOST_ESCALATIONS = 64;
/** How many values a report may be compared by. */
const MOST_PATHS = 8;

const escalation = closed('key', {
  class: oneOf('class', CLASSES),
  reports: wholeNumber(1, MOST_REPORTS),
  within: duration('1s', '24h'),
  to: oneOf('severity', SEVERITIES),
});

/** So many reports of a class within so long a time raise the incident of the last one. A class may have several. */
export const escalate = z
  .array(escalation, {
    error: ({ input }) => `must be a list of {class, reports, within, to}, or [] for none, found ${shown(input)}`,
  })
  .check(
    z.maxLength(MOST_ESCALATIONS, { ...evenIfItemsAreFaulty, error: `may have at most ${MOST_ESCALATIONS} entries` }),
    z.superRefine((list, context) => {
      // Two that count alike differ in what they raise to at most, and the higher one always wins.
      const keys = list.map((one) => JSON.stringify([one?.class, one?.reports, one?.within]));
      for (const [index, key] of keys.entries()) {
        if (keys.indexOf(key) === index) continue;
        context.addIssue({
          code: 'custom',
          path: [index],
          message: 'counts the same as an entry before: class, reports and within are the same',
        });
      }
    }, evenIfItemsAreFaulty),
  );

const PATHS = 'source, description, severity or evidence. and a path of keys, such as evidence.path';

const isPath = (text: string): boolean =>
  text.length <= 256 && /^(?:source|description|severity|evidence(?:\.[^.\s]+)+)$/.test(text);

const pathFault = ({ input }: { readonly input?: unknown }): string => `must be ${PATHS}, found ${shown(input)}`;

const path = z.string({ error: pathFault }).check(z.refine(isPath, { error: pathFault }));

/** Reports of one class with the same values at these paths are occurrences of one unresolved incident. */
export const repeat = closed('key', {
  same: z.array(path, { error: ({ input }) => `must be a list of ${PATHS}, found ${shown(input)}` }).check(
    z.minLength(1, { ...evenIfItemsAreFaulty, error: `must name at least one value: ${PATHS}` }),
    z.maxLength(MOST_PATHS, { ...evenIfItemsAreFaulty, error: `may name at most ${MOST_PATHS} values` }),
    z.superRefine((list, context) => {
      for (const [index, name] of list.entries()) {
        if (list.indexOf(name) < index)
          context.addIssue({ code: 'custom', path: [index], message: `${shown(name)} is listed before` });
      }
    }, evenIfItemsAreFaulty),
  ),
  within: duration('1s', '8760h'),
});
