/** The schema of the `notify` section of a policy file: its webhooks, and what those with a format may say. */
import * as z from 'zod/mini';
import { CLASSES, type IncidentClass, SEVERITIES } from '../../machines/vocabulary.ts';
import { NOTIFIED_EVENTS } from '../domain/entries.ts';
import { FORMATS, type Format, GROUPED_BY } from '../domain/notice.ts';
import { shown } from './fault-messages.ts';
import { absolutePath, closed, evenIfFaulty, evenIfItemsAreFaulty, oneOf } from './strict-schemas.ts';
import { duration, MOST_WEBHOOKS, receiver, trueOrFalse } from './target-schema.ts';
import { isSecure, staysHere, type TargetUrl } from './target-url.ts';

const LONGEST_CONSOLE_URL = 1024;

const isWebAddress = (text: string): boolean => {
  if (text.length > LONGEST_CONSOLE_URL || !/^https?:\/\/[!-~]+$/.test(text) || !URL.canParse(text)) return false;
  const { username, password, hash, search } = new URL(text);
  return username === '' && password === '' && hash === '' && search === '' && !/[<>|"#?]/.test(text);
};

const faultOfConsole = ({ input }: { readonly input?: unknown }): string =>
  `must be the http or https URL of the console, without query and fragment, found ${shown(input)}`;

/** At least one, and none twice. @param kind what one is */
const someOf = <Word extends string>(kind: string, plural: string, words: readonly Word[]) =>
  z
    .array(oneOf(kind, words), {
      error: ({ input }) => `must be a list of ${plural} (${words.join(', ')}), found ${shown(input)}`,
    })
    .check(
      z.minLength(1, { ...evenIfItemsAreFaulty, error: `must name a ${kind}; leave it out for all of them` }),
      z.maxLength(words.length, { ...evenIfItemsAreFaulty, error: `lists more than there are ${plural}` }),
    );

const severityOrList = z.union([someOf('severity', 'severities', SEVERITIES), z.enum(SEVERITIES)], {
  error: ({ input }) =>
    `must be a severity (${SEVERITIES.join(', ')}), for that and worse ones, or a list of severities, found ${shown(input)}`,
});

/** One is a list of one. */
const classOrList = z.pipe(
  z.union([someOf('class', 'classes', CLASSES), z.enum(CLASSES)], {
    error: ({ input }) => `must be a class or a list of classes (${CLASSES.join(', ')}), found ${shown(input)}`,
  }),
  z.transform((given): readonly IncidentClass[] => (typeof given === 'string' ? [given] : given)),
);

/** The keys of a webhook that shape its notices. */
const shaping = {
  severity: z.optional(severityOrList),
  class: z.optional(classOrList),
  send_resolved: z.optional(trueOrFalse()),
  drills: z.optional(trueOrFalse()),
  console_url: z.optional(z.string({ error: faultOfConsole }).check(z.refine(isWebAddress, { error: faultOfConsole }))),
  group_by: z.optional(
    z.array(oneOf('group_by', GROUPED_BY), {
      error: ({ input }) =>
        `must be a list of ${GROUPED_BY.join(', ')}, or [] for one group of all, found ${shown(input)}`,
    }),
  ),
  group_wait: z.optional(duration('0s', '1h')),
  group_interval: z.optional(duration('0s', '24h')),
  repeat_interval: z.optional(duration('0s', '168h')),
};

/** For which formats each key is. */
export const KEYS_OF_FORMATS: Readonly<Record<string, readonly Format[]>> = {
  events: ['entry'],
  heartbeat: ['entry'],
  url_path: ['slack', 'pagerduty', 'alertmanager'],
  routing_key_path: ['pagerduty'],
  severity: ['slack', 'pagerduty', 'alertmanager'],
  class: ['slack', 'pagerduty', 'alertmanager'],
  send_resolved: ['slack', 'pagerduty', 'alertmanager'],
  drills: ['slack', 'pagerduty', 'alertmanager'],
  console_url: ['slack', 'pagerduty', 'alertmanager'],
  group_by: ['slack'],
  group_wait: ['slack', 'pagerduty'],
  group_interval: ['slack'],
  repeat_interval: ['slack', 'pagerduty'],
};

const webhook = closed('key', {
  ...receiver,
  events: z.optional(
    z
      .array(oneOf('event', NOTIFIED_EVENTS), {
        error: ({ input }) => `must be a list of events, found ${shown(input)}`,
      })
      .check(z.minLength(1, { ...evenIfItemsAreFaulty, error: 'must name an event; leave it out for all of them' })),
  ),
  heartbeat: z.optional(duration('1s', '24h')),
  format: z.optional(oneOf('format', FORMATS)),
  url_path: z.optional(absolutePath),
  routing_key_path: z.optional(absolutePath),
  ...shaping,
}).check(
  z.superRefine((given: Readonly<Record<string, unknown>>, context) => {
    const fault = (key: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [key], message, continue: true });
    const format = FORMATS.find((one) => one === (given['format'] ?? 'entry'));
    if (format === undefined) return;
    for (const [key, formats] of Object.entries(KEYS_OF_FORMATS)) {
      if (given[key] === undefined || formats.includes(format)) continue;
      fault(key, `is for format: ${formats.join(' or ')}, and this webhook has ${format}`);
    }
    if (format === 'pagerduty' && given['routing_key_path'] === undefined)
      fault('routing_key_path', 'is missing: the file with the integration key that PagerDuty gave');
    const url = given['url'] as Partial<TargetUrl> | undefined;
    // A faulty one has no kind.
    if (url?.kind !== 'tcp' || staysHere(url as TargetUrl) || isSecure(url as TargetUrl)) return;
    for (const key of ['url_path', 'routing_key_path'])
      if (given[key] !== undefined) fault(key, 'needs an https url: the secret in the file could be read on the way');
  }, evenIfFaulty),
);

export const notify = z
  .array(webhook, {
    error: ({ input }) =>
      `must be a list of webhooks ({url, format, token_path, prove, secret_path, ca_path, events, heartbeat}), found ${shown(input)}`,
  })
  .check(
    z.maxLength(MOST_WEBHOOKS, { ...evenIfItemsAreFaulty, error: `must have at most ${MOST_WEBHOOKS} webhooks` }),
    z.superRefine((webhooks, context) => {
      const known = new Set<string>();
      for (const [index, one] of (Array.isArray(webhooks) ? webhooks : []).entries()) {
        const text = (one as { url?: TargetUrl } | null)?.url?.text;
        if (text !== undefined && known.has(text))
          context.addIssue({ code: 'custom', path: [index, 'url'], message: 'is listed before', continue: true });
        if (text !== undefined) known.add(text);
        const { prove: proves, token_path: token } = (one ?? {}) as { prove?: boolean; token_path?: string };
        if (proves !== undefined && token === undefined) {
          const message = 'needs token_path: a service proves that it knows the token';
          context.addIssue({ code: 'custom', path: [index, 'prove'], message, continue: true });
        }
      }
    }, evenIfItemsAreFaulty),
  );
