import { hash } from 'node:crypto';
import type { Rule } from '../../machines/vocabulary.ts';
import type { Report } from '../domain/entries.ts';
import { repeatedValues } from '../domain/repeat.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';

/** How many hex digits name the values: 96 bits, so that no two sets of values get the same name. */
const DIGITS = 24;

/** Names the values in which reports repeat each other, for the log and the database. */
export class RepeatKeys {
  readonly #secret: string;

  /**
   * @param secret of a fixed length, known to the recorder alone: nobody else can say in the database to which incident
   *   reports belong that are still to come
   */
  constructor(secret: string) {
    this.#secret = secret;
  }

  /**
   * The name of a report's values, as its rule asks. Undefined when the rule does not ask, when the report lacks one of
   * the values, and when its `dedup_key` says what it belongs to.
   * @param owner whose reports it may repeat: see `keysOwner`
   */
  of(report: Report, rule: Rule, owner: string): string | undefined {
    const { repeat } = rule;
    if (repeat === undefined || report.dedup_key !== undefined) return undefined;
    const values = repeatedValues(report, rule, repeat);
    return values === undefined ? undefined : hash('sha256', this.#secret + owner + textOf(values)).slice(0, DIGITS);
  }
}

/** The values as one text, another for each: texts alone need no canonical form, which takes longer. */
const textOf = (values: readonly JsonValue[]): string =>
  values.every((value) => typeof value === 'string') ? JSON.stringify(values) : canonicalForm(values);
