/**
 * The parts of a policy by name, so that a reload can say what was there and is gone. A file that was cut off, or
 * written only in part, is often a valid policy: it has lost its end.
 *
 * A name is a place in the file. A webhook is named as in the log: its path may be a secret.
 */
import { type IncidentClass, stepsOf } from '../../machines/vocabulary.ts';
import { DEFAULT_ATTENTION_AFTER, DEFAULT_OVERDUE_AFTER, type PolicyContent } from './policy.ts';
import { nameOf } from './target-url.ts';

/** Stands for all events of a webhook that names none. */
const ALL = '*';

/**
 * The parts of a policy, in the order of the file.
 * @param classes those that the file itself has a rule for; the others have the built-in one
 */
export function partsOf(
  {
    rules,
    targets,
    notify,
    attention_after,
    overdue_after,
    burst,
    escalate = [],
    report_bytes_per_day,
    expect = [],
    runbooks = {},
    archive_after,
  }: Omit<PolicyContent, 'version'>,
  classes: readonly IncidentClass[],
): readonly string[] {
  return [
    ...classes.map((name) => `rules.${name}`),
    ...Object.entries(rules).flatMap(([name, rule]) => [
      ...(rule.auto_contain ? [`rules.${name}.auto_contain`] : []),
      ...rule.actions.map((action) => `rules.${name}.actions.${action}`),
      ...(rule.min_severity === undefined ? [] : [`rules.${name}.min_severity`]),
      ...(rule.answer_after === undefined ? [] : [`rules.${name}.answer_after`]),
      ...stepsOf(rule.recovery).map((step) => `rules.${name}.recovery.${step}`),
      ...(rule.recovery?.from_fleet === true ? [`rules.${name}.recovery.from_fleet`] : []),
      ...(rule.repeat === undefined ? [] : [`rules.${name}.repeat`]),
    ]),
    ...Object.entries(targets).flatMap(([action, target]) => partsIn(`targets.${action}`, target)),
    ...notify.flatMap(({ url, alerts, events = [ALL], ...webhook }) => {
      const place = `${alerts === undefined ? 'notify' : 'alerting.webhooks'}.${nameOf(url)}`;
      return [...partsIn(place, webhook), ...(alerts ?? events).map((event) => `${place}.events.${event}`)];
    }),
    ...(attention_after === DEFAULT_ATTENTION_AFTER ? [] : ['attention_after']),
    ...(overdue_after === DEFAULT_OVERDUE_AFTER ? [] : ['overdue_after']),
    ...(burst === undefined ? [] : ['burst']),
    ...new Set(escalate.map((rule) => `escalate.${rule.class}.${rule.to}`)),
    ...(report_bytes_per_day === undefined ? [] : ['report_bytes_per_day']),
    ...expect.map(({ source }) => `expect.${source}`),
    ...Object.keys(runbooks).map((name) => `rules.${name}.runbook`),
    ...(archive_after === undefined ? [] : ['archive_after']),
  ];
}

/** A mapping, and the keys that it gives. */
const partsIn = (place: string, mapping: object | undefined): readonly string[] =>
  mapping === undefined
    ? []
    : [place, ...Object.entries(mapping).flatMap(([key, value]) => (value === undefined ? [] : [`${place}.${key}`]))];

/** The parts that one policy has and the next has not. A target or webhook that is gone stands for all in it. */
export function removedParts(before: readonly string[], after: readonly string[]): readonly string[] {
  const kept = new Set(after);
  const removed = before.filter((part) => !kept.has(part) && !kept.has(part.replace(/(\.events\.).+$/, `$1${ALL}`)));
  return removed.filter(
    (part) => !removed.some((whole) => !whole.startsWith('rules.') && part.startsWith(`${whole}.`)),
  );
}
