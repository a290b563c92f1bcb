/** Leaves fields out of a bundle. Their hashes stay in the manifest, so the rest still verifies. */
import { type Bundle, type Field, lineName, type Manifest, memberName, PAGE } from './format.ts';

export interface Redacted {
  /** The bundle without them. */
  readonly text: string;
  /** Also what shows the same, and is left out with it. */
  readonly left_out: readonly string[];
  /** Fields of other incidents in which a text that was left out can still be read; the longest texts are searched. */
  readonly still_in: readonly string[];
  /** Names that no field has. */
  readonly unknown: readonly string[];
}

/**
 * Leaves fields out. With any field goes the page, which shows all of them; with a member of an incident go that
 * incident's lines of the log, which hold it in another spelling, and its other members that hold the same value, or one
 * of the texts in it.
 * @param names of the fields; one that ends in a slash and a star stands for all that begin so
 */
export function redactBundle(bundle: Bundle, names: readonly string[]): Redacted {
  const all = Object.keys(bundle.fields);
  const isMatched = (pattern: string, name: string): boolean =>
    pattern.endsWith('/*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  const out = new Set(all.filter((name) => names.some((pattern) => isMatched(pattern, name))));
  if (out.size > 0) out.add(PAGE);
  const hidden: string[] = [];
  for (const { id, entries } of (JSON.parse(bundle.manifest) as Manifest).incidents) {
    const members = all.filter((name) => name.startsWith(`${memberName(id)}/`));
    const values = members.filter((name) => out.has(name)).map((name) => bundle.fields[name]!.value);
    if (values.length === 0) continue;
    for (const { seq } of entries) out.add(lineName(seq));
    const texts = values.flatMap(readableIn);
    const shows = readerOf(texts);
    for (const name of members) if (shows(bundle.fields[name]!.value)) out.add(name);
    hidden.push(...texts);
  }
  const fields: Record<string, Field> = {};
  for (const name of all) if (!out.has(name)) fields[name] = bundle.fields[name]!;
  const showsHidden = readerOf(hidden.toSorted((one, other) => other.length - one.length).slice(0, MOST_SEARCHED));
  return {
    text: `${JSON.stringify({ ...bundle, fields })}\n`,
    left_out: all.filter((name) => out.has(name)),
    still_in: Object.keys(fields).filter((name) => showsHidden(fields[name]!.value)),
    unknown: names.filter((pattern) => !all.some((name) => isMatched(pattern, name))),
  };
}

/** A text that is shorter than this, such as `true`, a count or a severity, says nothing by itself. */
const SHORTEST = 5;
/** How many texts are searched in all that is left. */
const MOST_SEARCHED = 200;

/** What can be read in the JSON text of a value: itself, and the texts and numbers in it, spelt as in JSON. */
function readableIn(value: string): readonly string[] {
  const found = [value];
  const collect = (one: unknown): void => {
    if (typeof one === 'string') found.push(JSON.stringify(one).slice(1, -1));
    else if (typeof one === 'object' && one !== null) Object.values(one).forEach(collect);
    else found.push(String(one));
  };
  collect(JSON.parse(value));
  return [...new Set(found)].filter(({ length }) => length >= SHORTEST);
}

/** Tells in which values one of the texts can be read. */
function readerOf(texts: readonly string[]): (value: string) => boolean {
  return (value) => texts.some((text) => value.includes(text));
}
