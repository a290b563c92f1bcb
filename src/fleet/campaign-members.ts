/** The members of campaigns: incidents that a rule fits, each with the signature of what it shares with others. */
import { createHash } from 'node:crypto';
import type { Rule } from '../../machines/vocabulary.ts';
import type { Entry, Report } from '../domain/entries.ts';
import { repeatedValues } from '../domain/repeat.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import { type JsonValue, parseExact } from '../json/exact-json.ts';
import type { CampaignRule } from './fleet-policy.ts';
import { incidentOf } from './ingest/history-fold.ts';

/** What the fleet itself has had reported: the same on many machines, of course. */
const OWN_SOURCE = 'fleet:';
/** In characters: more would make a row of the list too long to read. */
const LONGEST_VALUES = 4096;

export interface NewMember {
  readonly signature: string;
  readonly incident: string;
  readonly at: string;
  readonly rule: CampaignRule;
  readonly class: string;
  readonly values: Readonly<Record<string, JsonValue>>;
}

/** What an entry that opens an incident adds; undefined where no rule fits. */
export function memberIn(line: string, rules: readonly CampaignRule[]): NewMember | undefined {
  try {
    const { timestamp: at, data } = parseExact(line) as unknown as {
      readonly timestamp: string;
      readonly data: { readonly report: Report; readonly rule: Rule; readonly drill?: true };
    };
    const { report } = data;
    const incident = incidentOf({ data } as unknown as Entry);
    if (incident === undefined) return undefined;
    if (data.drill === true || report.source.startsWith(OWN_SOURCE)) return undefined;
    for (const rule of rules) {
      if (!rule.classes.includes(report.class)) continue;
      const values = repeatedValues(report, data.rule, rule);
      if (values === undefined || values.some(isEmpty)) continue;
      const text = canonicalForm([rule.same, values]);
      const signature = createHash('sha256').update(text).digest('hex');
      // After the class: a path, its value, and so on.
      const shared = Object.fromEntries(
        rule.same.map((path, place) => [path, shortened(values[2 * place + 2]!)] as const),
      );
      return { signature, incident, at, rule, class: report.class, values: shared };
    }
  } catch {
    // An entry that the fleet can't read: a newer recorder has written it, or nobody of ours.
  }
  return undefined;
}

const isEmpty = (value: JsonValue): boolean =>
  value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);

const shortened = (value: JsonValue): JsonValue => {
  const text = canonicalForm(value);
  return text.length <= LONGEST_VALUES ? value : `${text.slice(0, LONGEST_VALUES)}…`;
};
