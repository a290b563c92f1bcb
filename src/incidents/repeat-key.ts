import { hash } from 'node:crypto';
import type { Rule } from '../../machines/vocabulary.ts';
import type { Report } from '../domain/entries.ts';
import { repeatedValues } from '../domain/repeat.ts';
import { canonicalForm } from '../json/canonical-form.ts';

/** How many hex digits name the values: enough that nobody finds others with the same. */
const DIGITS = 32;

/**
 * Names the values in which a report repeats others, as its rule asks. Undefined when the rule does not ask, when the
 * report lacks one of the values, and when its `dedup_key` says what it belongs to.
 * @param owner whose reports it may repeat: see `keysOwner`
 */
export function repeatKey(report: Report, rule: Rule, owner: string): string | undefined {
  const { repeat } = rule;
  if (repeat === undefined || report.dedup_key !== undefined) return undefined;
  const values = repeatedValues(report, rule, repeat);
  return values === undefined ? undefined : hash('sha256', `${owner}${canonicalForm(values)}`).slice(0, DIGITS);
}
