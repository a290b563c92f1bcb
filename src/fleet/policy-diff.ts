/** How the policy of a machine differs from the one that most machines have. */
import { readYaml } from '../policy/yaml.ts';

export interface PolicyChange {
  /** Keys with points between them: `rules.tool_call_burst.auto_contain`. */
  readonly path: string;
  /** Undefined where it is not there. */
  readonly usual?: unknown;
  readonly here?: unknown;
}

/** How many differing values are listed, and lines compared. */
const MOST_CHANGES = 1000;
const MOST_LINES = 2000;
const CONTEXT = 3;

/** The values that differ, in the order of the usual policy. Undefined when one of the texts can't be read. */
export function policyChanges(usual: string, here: string): readonly PolicyChange[] | undefined {
  const [one, other] = [readYaml(usual), readYaml(here)];
  if (one.faults.length + other.faults.length > 0) return undefined;
  const changes: PolicyChange[] = [];
  compare([], one.value, other.value, changes);
  return changes;
}

function compare(path: readonly string[], usual: unknown, here: unknown, changes: PolicyChange[]): void {
  if (changes.length >= MOST_CHANGES || JSON.stringify(usual) === JSON.stringify(here)) return;
  if (isMapping(usual) && isMapping(here)) {
    for (const key of new Set([...Object.keys(usual), ...Object.keys(here)]))
      compare([...path, key], usual[key], here[key], changes);
    return;
  }
  changes.push({
    path: path.join('.'),
    ...(usual === undefined ? {} : { usual }),
    ...(here === undefined ? {} : { here }),
  });
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A diff of the lines in the unified form; empty where the texts are the same. */
export function unifiedDiff(usual: string, here: string): string {
  const [before, after] = [linesOf(usual), linesOf(here)];
  const edits = editsBetween(before, after);
  const hunks: string[] = [];
  for (let at = 0; at < edits.length;) {
    if (edits[at]!.sign === ' ') {
      at += 1;
      continue;
    }
    const begin = Math.max(0, at - CONTEXT);
    let end = at;
    // Changes with few lines between them are one hunk.
    for (let next = at; next < edits.length && next <= end + 2 * CONTEXT; next += 1)
      if (edits[next]!.sign !== ' ') end = next;
    const hunk = edits.slice(begin, end + CONTEXT + 1);
    const [first] = hunk;
    const count = (sign: '-' | '+'): number => hunk.filter((edit) => edit.sign === ' ' || edit.sign === sign).length;
    hunks.push(`@@ -${first!.before},${count('-')} +${first!.after},${count('+')} @@\n`);
    hunks.push(...hunk.map(({ sign, line }) => `${sign}${line}\n`));
    at = end + CONTEXT + 1;
  }
  return hunks.length === 0 ? '' : `--- usual\n+++ here\n${hunks.join('')}`;
}

const linesOf = (text: string): readonly string[] => text.replace(/\n$/, '').split('\n').slice(0, MOST_LINES);

interface Edit {
  readonly sign: ' ' | '-' | '+';
  readonly line: string;
  /** Its number in either text, from 1: of the next line where it is not in that text. */
  readonly before: number;
  readonly after: number;
}

/** The shortest way from one list of lines to the other: their longest common subsequence stays. */
function editsBetween(before: readonly string[], after: readonly string[]): readonly Edit[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  )
    tail += 1;
  const [rows, columns] = [before.length - head - tail, after.length - head - tail];
  const lengths = Array.from({ length: rows + 1 }, () => new Uint16Array(columns + 1));
  for (let row = rows - 1; row >= 0; row -= 1)
    for (let column = columns - 1; column >= 0; column -= 1)
      lengths[row]![column] =
        before[head + row] === after[head + column]
          ? lengths[row + 1]![column + 1]! + 1
          : Math.max(lengths[row + 1]![column]!, lengths[row]![column + 1]!);
  const edits: Edit[] = [];
  let [row, column] = [0, 0];
  const add = (sign: Edit['sign'], line: string): void =>
    void edits.push({ sign, line, before: row + 1, after: column + 1 });
  while (row < before.length || column < after.length) {
    const isInside = row >= head && column >= head && row < head + rows && column < head + columns;
    const isSame = row < before.length && column < after.length && before[row] === after[column];
    const isOutside = row < head || (row >= head + rows && column >= head + columns);
    if (isSame && (isOutside || isInside)) {
      add(' ', before[row]!);
      row += 1;
      column += 1;
    } else if (
      row < head + rows &&
      (column >= head + columns || lengths[row - head + 1]![column - head]! >= lengths[row - head]![column - head + 1]!)
    ) {
      add('-', before[row]!);
      row += 1;
    } else {
      add('+', after[column]!);
      column += 1;
    }
  }
  return edits;
}
