import { CLASSES, type IncidentClass } from '../../machines/vocabulary.ts';
import type { PolicyContent, PolicyFault } from './policy.ts';
import { refusedPolicy } from './policy.ts';
import type * as z from 'zod/mini';
import { PolicyFile } from './schema.ts';
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
    if (parsed.success && found.length === 0 && remote.length === 0) {
      const { rules } = value as { readonly rules?: object | null };
      return { content: contentOf(parsed.data), classes: CLASSES.filter((name) => Object.hasOwn(rules ?? {}, name)) };
    }
    for (const { path, message } of [...(parsed.error?.issues ?? []), ...remote])
      found.push({ file, line: lineOf(path), message: `${placeOf(path)}: ${message}` });
  }
  throw refusedPolicy(found);
};

/** The content of a file: what to do about a class is not part of its rule, which each incident keeps. */
function contentOf({ rules, expect, ...rest }: z.infer<typeof PolicyFile>): PolicyContent {
  const runbooks = Object.fromEntries(
    CLASSES.flatMap((name) => (rules[name].runbook === undefined ? [] : [[name, rules[name].runbook]])),
  );
  return {
    ...rest,
    rules: Object.fromEntries(CLASSES.map((name) => [name, withoutRunbook(rules[name])])) as PolicyContent['rules'],
    ...(expect === undefined || expect.length === 0 ? {} : { expect }),
    ...(Object.keys(runbooks).length === 0 ? {} : { runbooks }),
  };
}

const withoutRunbook = <Rule extends { runbook?: string }>({ runbook: _runbook, ...rule }: Rule) => rule;

/** A fault for each target that is not on this machine. */
const remoteTargets = ({ targets, notify }: Pick<PolicyContent, 'targets' | 'notify'>) => {
  const urls = [
    ...Object.entries(targets).flatMap(([action, target]) => [
      { path: ['targets', action, 'engage', 'url'], url: target?.engage?.url },
      { path: ['targets', action, 'release', 'url'], url: target?.release?.url },
    ]),
    ...notify.map(({ url }, index) => ({ path: ['notify', index, 'url'], url })),
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
