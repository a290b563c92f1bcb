/** What a report repeats: the values at the paths that its rule names under `repeat`. */
import type { Repeat, Rule } from '../../machines/vocabulary.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { Report } from './entries.ts';
import { severityOf } from './severity.ts';

/**
 * The values of a report at the paths, in their order, each after its path. Undefined when one of them is missing: then
 * it repeats nothing. A report that names no severity has that of its rule.
 */
export function repeatedValues(report: Report, rule: Rule, { same }: Repeat): readonly JsonValue[] | undefined {
  const values: JsonValue[] = [report.class];
  for (const path of same) {
    const value = valueAt(path, report, rule);
    if (value === undefined) return undefined;
    values.push(path, value);
  }
  return values;
}

function valueAt(path: string, report: Report, rule: Rule): JsonValue | undefined {
  switch (path) {
    case 'source':
    case 'description':
      return report[path];
    case 'severity':
      return severityOf(report, rule).severity;
    default:
      return memberAt(report.evidence, path.split('.').slice(1));
  }
}

/** What a path of keys leads to; in a list, a key is a place, from 0. */
function memberAt(value: JsonValue | undefined, keys: readonly string[]): JsonValue | undefined {
  let found: JsonValue | undefined = value;
  for (const key of keys) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    if (Array.isArray(found) && key === 'length') return undefined;
    found = (found as Readonly<Record<string, JsonValue>>)[key];
  }
  return found;
}
