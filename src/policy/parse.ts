import type * as z from 'zod/mini';
import { BY_HAND, CLASSES, type IncidentClass, stepsOf } from '../../machines/vocabulary.ts';
import type { PolicyContent, PolicyFault } from './policy.ts';
import { refusedPolicy } from './policy.ts';
import { APPLIANCE_EVENTS } from '../domain/appliance-alert.ts';
import { PolicyFile } from './schema.ts';
import { MOST_WEBHOOKS } from './target-schema.ts';
import { isSecure, staysHere, URL_FORMS } from './target-url.ts';
import { placeOf } from './fault-messages.ts';
import { readYaml } from './yaml.ts';

/**
 * Parses the text of a policy file and completes it from the built-in rules.
 * @param file the name of the file, for the faults
 * @param allowNonLoopback whether targets may be on other machines
 * @throws RecorderError `invalid_policy` with every fault in the text
 */
export const parsePolicy = (text: string, file: string, allowNonLoopback = false): PolicyContent =>
  parseFile(text, file, allowNonLoopback).content;

/** The same, and the classes that the file itself has a rule for. */
export const parseFile = (
  text: string,
  file: string,
  allowNonLoopback = false,
): { readonly content: PolicyContent; readonly classes: readonly IncidentClass[] } => {
  const { value, lineOf, faults } = readYaml(text);
  if ((value === undefined || value === null) && faults.length === 0)
    throw refusedPolicy([
      { file, line: 1, message: 'the file is empty; the least that a policy says is "version: 1"' },
    ]);

  const found: PolicyFault[] = faults.map((fault) => ({ file, ...fault }));
  if (value !== undefined) {
    const parsed = PolicyFile.safeParse(value);
    const remote = parsed.success && !allowNonLoopback ? remoteTargets(parsed.data) : [];
    const webhooks = parsed.success ? tooManyWebhooks(parsed.data) : [];
    if (parsed.success && found.length === 0 && remote.length + webhooks.length === 0) {
      const { rules } = value as { readonly rules?: object | null };
      return { content: contentOf(parsed.data), classes: CLASSES.filter((name) => Object.hasOwn(rules ?? {}, name)) };
    }
    for (const { path, message } of [...(parsed.error?.issues ?? []).flatMap(faultsIn), ...remote, ...webhooks])
      found.push({ file, line: lineOf(path), message: `${placeOf(path)}: ${message}` });
  }
  throw refusedPolicy(found);
};

/** The faults of a mapping that could also be a word are those of the mapping: they say what is wrong in it. */
const faultsIn = (issue: z.core.$ZodIssue): readonly Pick<z.core.$ZodIssue, 'path' | 'message'>[] => {
  const [ofMapping = []] = issue.code === 'invalid_union' ? issue.errors : [];
  if (!ofMapping.some(({ path }) => path.length > 0)) return [issue];
  return ofMapping.map(({ path, message }) => ({ path: [...issue.path, ...path], message }));
};

type Parsed = z.infer<typeof PolicyFile>;

/**
 * What a file decides: the webhooks of `alerting` receive what those of `notify` do, in the appliance's own form. What
 * to do about a class is not part of its rule, which each incident keeps.
 */
function contentOf({ alerting: { webhooks }, rules, expect, ...content }: Parsed): PolicyContent {
  const runbooks = Object.fromEntries(
    CLASSES.flatMap((name) => (rules[name].runbook === undefined ? [] : [[name, rules[name].runbook]])),
  );
  const withoutRunbooks = CLASSES.map((name) => [name, withoutRunbook(rules[name])] as const);
  return {
    ...content,
    rules: withoutUnasked(Object.fromEntries(withoutRunbooks) as PolicyContent['rules']),
    ...(expect === undefined || expect.length === 0 ? {} : { expect }),
    ...(Object.keys(runbooks).length === 0 ? {} : { runbooks }),
    notify: [
      ...content.notify,
      ...webhooks.map(({ events, ...webhook }) => ({
        ...webhook,
        alerts: APPLIANCE_EVENTS.filter((event) => events.length === 0 || events.includes(event)),
      })),
    ],
  };
}

const withoutRunbook = <Rule extends { runbook?: string }>({ runbook: _runbook, ...rule }: Rule) => rule;

/** The faults of webhooks that `alerting` names besides those of `notify`. */
const tooManyWebhooks = ({ notify, alerting: { webhooks } }: Parsed) => {
  const known = new Set(notify.map(({ url }) => url.text));
  const repeated = webhooks.flatMap(({ url: { text } }, index) => {
    const isKnown = known.has(text);
    known.add(text);
    return isKnown ? [{ path: ['alerting', 'webhooks', index, 'url'], message: 'is listed before' }] : [];
  });
  const proofs = webhooks.flatMap(({ prove, token_path: token }, index) =>
    prove !== undefined && token === undefined
      ? [
          {
            path: ['alerting', 'webhooks', index, 'prove'],
            message: 'needs token_path: a service proves that it knows the token',
          },
        ]
      : [],
  );
  const message = `must have at most ${MOST_WEBHOOKS} webhooks together with notify`;
  const isTooMany = notify.length + webhooks.length > MOST_WEBHOOKS;
  return [...repeated, ...proofs, ...(isTooMany ? [{ path: ['alerting', 'webhooks'], message }] : [])];
};

/** The rules without steps that are not asked for: one that says `attest: false` decides what one without it does. */
const withoutUnasked = (rules: PolicyContent['rules']): PolicyContent['rules'] =>
  Object.fromEntries(
    Object.entries(rules).map(([name, { recovery, ...rule }]) => {
      const steps = stepsOf(recovery);
      const asked = {
        ...Object.fromEntries(steps.map((step) => [step, true])),
        ...(recovery?.from_fleet === true ? { from_fleet: true } : {}),
      };
      return [name, steps.length === 0 ? rule : { ...rule, recovery: asked }];
    }),
  ) as PolicyContent['rules'];

/** A fault for each target that is not on this machine. */
const remoteTargets = ({
  targets,
  notify,
  alerting: { webhooks },
}: Pick<PolicyContent, 'targets' | 'notify'> & Pick<Parsed, 'alerting'>) => {
  const urls = [
    ...Object.entries(targets).flatMap(([action, target]) => [
      { path: ['targets', action, 'engage', 'url'], url: target?.engage?.url },
      {
        path: ['targets', action, 'release', 'url'],
        url: target?.release === BY_HAND ? undefined : target?.release?.url,
      },
    ]),
    ...notify.map(({ url }, index) => ({ path: ['notify', index, 'url'], url })),
    ...webhooks.map(({ url }, index) => ({ path: ['alerting', 'webhooks', index, 'url'], url })),
  ];
  const message =
    'is not on this machine (127.0.0.0/8, [::1], localhost or a unix socket); ' +
    'set ALLOW_NON_LOOPBACK=1 if containment is meant to leave it';
  const secure = `must be ${URL_FORMS}: https is for services on other machines`;
  return urls.flatMap(({ path, url }) => {
    if (url === undefined || (staysHere(url) && !isSecure(url))) return [];
    return [{ path, message: staysHere(url) ? secure : message }];
  });
};
