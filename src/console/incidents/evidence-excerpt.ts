/** The first keys of an incident's evidence with their values, for one line of the list. */
import { beginning } from '../visible-text.ts';

/** A path of keys, and the value as text. */
export type Excerpt = readonly (readonly [path: string, value: string])[];

const MOST = 4;
const DEEPEST = 3;
const LONGEST_VALUE = 48;
/** The most keys by which incidents are compared. */
const MOST_KEYS = 32;

/** The first values, in the order in which they were reported. */
export const excerptOf = (evidence: unknown): Excerpt => {
  const found: [string, string][] = [];
  const look = (value: unknown, path: readonly string[]): void => {
    if (found.length === MOST) return;
    if (typeof value !== 'object' || value === null) {
      found.push([beginning(path.join('.'), LONGEST_VALUE), beginning(String(value), LONGEST_VALUE)]);
    } else if (path.length < DEEPEST) {
      for (const [key, inner] of Object.entries(value)) look(inner, [...path, key]);
    }
  };
  look(evidence ?? {}, []);
  return found;
};

/** The names of the evidence's keys in one text: what is reported alike has the same. */
export const keysOf = (evidence: unknown): string =>
  typeof evidence === 'object' && evidence !== null
    ? Object.keys(evidence).slice(0, MOST_KEYS).toSorted().join('\n')
    : '';

/** What several excerpts have in common: the same value, or how many there are. */
export const sharedExcerpt = (excerpts: readonly Excerpt[]): Excerpt => {
  const first = excerpts.find((excerpt) => excerpt.length > 0) ?? [];
  return first.map(([path]) => {
    const values = new Set(excerpts.flatMap((excerpt) => excerpt.find(([other]) => other === path)?.[1] ?? []));
    return [path, values.size === 1 ? [...values][0]! : `${values.size} values`];
  });
};
