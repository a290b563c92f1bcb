/** Leaves fields out of a bundle. Their hashes stay in the manifest, so the rest still verifies. */
import { type Bundle, type Field, lineName, type Manifest, memberName, PAGE } from './format.ts';

export interface Redacted {
  /** The bundle without them. */
  readonly text: string;
  /** Also what shows the same, and is left out with it. */
  readonly left_out: readonly string[];
  /** Names that no field has. */
  readonly unknown: readonly string[];
}

/**
 * Leaves fields out. With any field goes the page, which shows all of them; with a member of an incident go that
 * incident's lines of the log, which hold it in another spelling, and whatever else of it holds the same value.
 * @param names of the fields; one that ends in a slash and a star stands for all that begin so
 */
export function redactBundle(bundle: Bundle, names: readonly string[]): Redacted {
  const all = Object.keys(bundle.fields);
  const isMatched = (pattern: string, name: string): boolean =>
    pattern.endsWith('/*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  const out = new Set(all.filter((name) => names.some((pattern) => isMatched(pattern, name))));
  if (out.size > 0) out.add(PAGE);
  for (const { id, entries } of (JSON.parse(bundle.manifest) as Manifest).incidents) {
    const members = all.filter((name) => name.startsWith(`${memberName(id)}/`));
    const values = members.filter((name) => out.has(name)).map((name) => bundle.fields[name]!.value);
    if (values.length === 0) continue;
    for (const { seq } of entries) out.add(lineName(seq));
    const shows = (name: string): boolean => values.some((one) => bundle.fields[name]!.value.includes(one));
    for (const name of members) if (bundle.fields[name]!.value.length > SHORTEST && shows(name)) out.add(name);
  }
  const fields: Record<string, Field> = {};
  for (const name of all) if (!out.has(name)) fields[name] = bundle.fields[name]!;
  return {
    text: `${JSON.stringify({ ...bundle, fields })}\n`,
    left_out: all.filter((name) => out.has(name)),
    unknown: names.filter((pattern) => !all.some((name) => isMatched(pattern, name))),
  };
}

/** Of a member that is no longer than this, such as `true` or a count, nothing else can be read. */
const SHORTEST = 5;
