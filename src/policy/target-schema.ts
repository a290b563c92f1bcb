/** The schemas of the `targets` and `alerting` sections of a policy file, and of what webhooks have in common. */
import * as z from 'zod/mini';
import { ACTIONS, BY_HAND } from '../../machines/vocabulary.ts';
import { parseDuration } from '../duration.ts';
import { APPLIANCE_EVENTS } from '../domain/appliance-alert.ts';
import { absolutePath, closed, evenIfFaulty, evenIfItemsAreFaulty, oneOf } from './strict-schemas.ts';
import { parseTargetUrl, type TargetUrl, URL_FORMS } from './target-url.ts';
import { shown } from './fault-messages.ts';

/** Each webhook has its own connection, and the service has few descriptors. */
export const MOST_WEBHOOKS = 4;

/** The units in which a policy writes times. */
export const TIME_UNITS = ['ms', 's', 'm', 'h', 'd'] as const;

/** A time like `500ms`, `5s`, `2m`, `1h` or `90d`; parsed to milliseconds. */
export const duration = (least: string, most: string) =>
  z.pipe(
    z.string({ error: ({ input }) => `must be a time from ${least} to ${most}, such as 5s, found ${shown(input)}` }),
    z.transform((text: string, context) => {
      const value = millisecondsOf(text);
      if (value >= millisecondsOf(least) && value <= millisecondsOf(most)) return value;
      context.issues.push({
        code: 'custom',
        message: `must be a time from ${least} to ${most} (units ${TIME_UNITS.join(', ')}), found ${shown(text)}`,
        input: text,
      });
      return z.NEVER;
    }),
  );

export const wholeNumber = (least: number, most: number) => {
  const error = ({ input }: { readonly input?: unknown }): string =>
    `must be a whole number from ${least} to ${most}, found ${shown(input)}`;
  return z.int({ error }).check(z.gte(least, { error }), z.lte(most, { error }));
};

const millisecondsOf = (text: string): number => parseDuration(text, TIME_UNITS) ?? Number.NaN;

const url = z.pipe(
  z.string({ error: ({ input }) => `must be ${URL_FORMS}, found ${shown(input)}` }),
  z.transform((text: string, context): TargetUrl => {
    const parsed = parseTargetUrl(text);
    if (parsed !== undefined) return parsed;
    context.issues.push({ code: 'custom', message: `must be ${URL_FORMS}, found ${shown(text)}`, input: text });
    return z.NEVER;
  }),
);

const word = z
  .string({ error: ({ input }) => `must be the word that the service knows for it, found ${shown(input)}` })
  .check(z.regex(/^[\w.-]{1,64}$/, { error: 'must be 1 to 64 letters, digits, ".", "_" or "-"' }));

export const trueOrFalse = () => z.boolean({ error: ({ input }) => `must be true or false, found ${shown(input)}` });

const prove = trueOrFalse();

/** Who confirms what was sent: the target by its answer, or its service later, when the target has answered 202. */
const CONFIRM = ['answer', 'callback'] as const;

/** The statuses of answers that are no success: 2xx is never final. */
const FAILURES = { least: 300, most: 599 };

const faultOfStatus = ({ input }: { readonly input?: unknown }): string =>
  `must be a status from ${FAILURES.least} to ${FAILURES.most}, found ${shown(input)}`;

/** @param some an example, for messages */
const statuses = (some: string) =>
  z
    .array(
      z
        .int({ error: faultOfStatus })
        .check(z.gte(FAILURES.least, { error: faultOfStatus }), z.lte(FAILURES.most, { error: faultOfStatus })),
      { error: ({ input }) => `must be a list of statuses, such as ${some}, or [] for none, found ${shown(input)}` },
    )
    .check(
      z.maxLength(FAILURES.most - FAILURES.least + 1, {
        ...evenIfItemsAreFaulty,
        error: 'lists more statuses than there are',
      }),
    );

const endpoint = closed('key', { url, action: word });

/** A release is sent, or a person carries it out. */
const release = z.union([endpoint, z.literal(BY_HAND)], {
  error: ({ input }) =>
    `must be {url, action}, or ${BY_HAND} where a person releases it by hand, found ${shown(input)}`,
});

const target = closed('key', {
  engage: z.optional(endpoint),
  release: z.optional(release),
  broker: z.optional(closed('key', { requests: absolutePath, results: absolutePath, action: word })),
  token_path: z.optional(absolutePath),
  prove: z.optional(prove),
  secret_path: z.optional(absolutePath),
  ca_path: z.optional(absolutePath),
  timeout: z.optional(duration('100ms', '120s')),
  confirm_every: z.optional(duration('1s', '24h')),
  confirm: z.optional(oneOf('way to confirm', CONFIRM)),
  final: z.optional(statuses('[400, 422]')),
  done_when: z.optional(statuses('[404]')),
  drill: z.optional(trueOrFalse()),
}).check(
  z.superRefine((given, context) => {
    const fault = (key: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [key], message, continue: true });
    if (given.engage !== undefined && given.broker !== undefined)
      fault('broker', "can't be combined with engage; an action is sent in one way");
    if (given.release === BY_HAND && given.engage === undefined && given.broker === undefined)
      fault('release', `needs engage or broker; without a target its service fetches the release`);
    if (given.release !== undefined && given.release !== BY_HAND && given.engage === undefined)
      fault('release', 'needs engage; an action whose release is sent is also engaged by sending');
    if (given.token_path !== undefined && given.engage === undefined)
      fault('token_path', 'needs engage, which sends the token');
    if (given.prove !== undefined && given.token_path === undefined)
      fault('prove', 'needs token_path: a service proves that it knows the token');
    if (given.confirm !== undefined && given.engage === undefined)
      fault('confirm', 'needs engage, whose answer it is about');
    if (given.final !== undefined && given.engage === undefined)
      fault('final', 'needs engage, whose answers it is about');
    if (given.done_when !== undefined && given.engage === undefined)
      fault('done_when', 'needs engage, whose answers it is about');
    const both = Array.isArray(given.done_when) && Array.isArray(given.final) ? given.done_when : [];
    for (const status of both.filter((one) => given.final?.includes(one)))
      fault('done_when', `lists ${status}, which final lists as a failure`);
    if (given.secret_path !== undefined && given.engage === undefined)
      fault('secret_path', 'needs engage, which is signed with the secret');
    if (
      given.ca_path !== undefined &&
      !(given.engage as { url?: TargetUrl } | undefined)?.url?.text.startsWith('https')
    )
      fault('ca_path', 'needs an engage whose url is https');
    if (given.drill !== undefined && given.engage === undefined && given.broker === undefined)
      fault('drill', 'needs engage or broker: a drill is sent');
    if (given.timeout !== undefined && given.engage === undefined && given.broker === undefined)
      fault('timeout', 'needs engage or broker');
  }, evenIfFaulty),
);

/** The actions that a service can carry out. `log_alert` is not one: its entry in the log is all there is to do. */
const SENT = ACTIONS.filter((action) => action !== 'log_alert');

export const targets = closed(
  'action with a target',
  Object.fromEntries(SENT.map((action) => [action, z.optional(target)])) as Record<
    (typeof SENT)[number],
    z.ZodMiniOptional<typeof target>
  >,
);

/** A webhook's URL is in the log, and everybody who asks for the health or the metrics sees it. */
const webhookUrl = url.check(
  z.refine((to) => !to.path.includes('?'), {
    error: 'must have no query: a secret belongs into the file that token_path names',
  }),
);

/** How a webhook is reached. */
export const receiver = {
  url: webhookUrl,
  token_path: z.optional(absolutePath),
  prove: z.optional(prove),
  secret_path: z.optional(absolutePath),
  ca_path: z.optional(absolutePath),
};

/** The webhooks of the appliance's own policy file. No events are all of them. */
const alertingWebhooks = z
  .array(
    closed('key', {
      ...receiver,
      events: z._default(
        z.array(oneOf('event', APPLIANCE_EVENTS), {
          error: ({ input }) =>
            `must be a list of events (${APPLIANCE_EVENTS.join(', ')}), or [] for all, found ${shown(input)}`,
        }),
        [],
      ),
    }),
    { error: ({ input }) => `must be a list of webhooks ({url, events}), found ${shown(input)}` },
  )
  .check(z.maxLength(MOST_WEBHOOKS, { ...evenIfItemsAreFaulty, error: `must have at most ${MOST_WEBHOOKS} webhooks` }));

export const alerting = closed('key', {
  webhooks: z.prefault(
    z.pipe(
      z.transform((value) => value ?? []),
      alertingWebhooks,
    ),
    [],
  ),
});
