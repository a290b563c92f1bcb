/**
 * The lines of the list: rows, bursts as one line each with their members when they are unfolded, and the line where the
 * person left off.
 *
 * A burst is two incidents or more of the same class and source with the same evidence keys, each within ten minutes of
 * the one before. It stands where its first member stands.
 */
import {
  type IncidentClass,
  isMoreSevere,
  SEVERITIES,
  type Severity,
  STATES,
  type State,
} from '../../../machines/vocabulary.ts';
import { MINUTE } from '../../clock.ts';
import { type Contained, together } from './containment-cell.ts';
import { type Excerpt, sharedExcerpt } from './evidence-excerpt.ts';
import type { IncidentRow } from './incident-row.ts';

const LONGEST_GAP = 10 * MINUTE;
/** How many members an unfolded burst shows at first. */
export const FIRST_MEMBERS = 7;

/** A burst: what its members have in common, and the worst of what they have not. */
export interface Burst {
  readonly key: string;
  readonly rows: readonly IncidentRow[];
  readonly class: IncidentClass;
  readonly source: string;
  readonly severity: Severity;
  readonly state: State;
  readonly first: string;
  readonly last: string;
  readonly held?: Contained;
  readonly evidence: Excerpt;
  /** The machines that they are on, at the fleet. */
  readonly machines: readonly string[];
  /** Who works them; empty when nobody does. */
  readonly assignees: readonly string[];
}

export type Line =
  | { readonly kind: 'row'; readonly key: string; readonly row: IncidentRow; readonly isMember: boolean }
  | { readonly kind: 'burst'; readonly key: string; readonly burst: Burst; readonly isUnfolded: boolean }
  | { readonly kind: 'more'; readonly key: string; readonly burst: Burst; readonly count: number }
  | { readonly kind: 'since'; readonly key: string; readonly changed: number };

export interface Shape {
  readonly isGrouped: boolean;
  /** Keys of bursts that are unfolded, and how many members each shows. */
  readonly unfolded: ReadonlyMap<string, number>;
  /** When the person left off (RFC 3339): what was touched since comes first. */
  readonly since?: string | undefined;
}

/** The lines for rows in their order. */
export const linesOf = (rows: readonly IncidentRow[], { isGrouped, unfolded, since }: Shape): readonly Line[] => {
  const tops: readonly (IncidentRow | Burst)[] = isGrouped ? gathered(rows) : rows;
  if (since === undefined) return tops.flatMap((top) => unfold(top, unfolded));
  const isChanged = (top: IncidentRow | Burst): boolean =>
    'rows' in top ? top.rows.some(({ touched_at: at }) => at > since) : top.touched_at > since;
  const changed = tops.filter(isChanged);
  const lines = (some: readonly (IncidentRow | Burst)[]): readonly Line[] =>
    some.flatMap((top) => unfold(top, unfolded));
  if (changed.length === 0) return lines(tops);
  const rest = tops.filter((top) => !isChanged(top));
  return [...lines(changed), { kind: 'since', key: 'since', changed: changed.length }, ...lines(rest)];
};

const unfold = (top: IncidentRow | Burst, unfolded: ReadonlyMap<string, number>): readonly Line[] => {
  if (!('rows' in top)) return [{ kind: 'row', key: top.id, row: top, isMember: false }];
  const shown = unfolded.get(top.key);
  const line = { kind: 'burst', key: top.key, burst: top, isUnfolded: shown !== undefined } as const;
  if (shown === undefined) return [line];
  const count = top.rows.length - shown;
  const members = top.rows.slice(0, shown).map((row) => ({ kind: 'row', key: row.id, row, isMember: true }) as const);
  return [
    line,
    ...members,
    ...(count > 0 ? [{ kind: 'more', key: `${top.key} more`, burst: top, count } as const] : []),
  ];
};

/** The rows, with bursts in the place of their first members. */
export const gathered = (rows: readonly IncidentRow[]): readonly (IncidentRow | Burst)[] => {
  const alike = Map.groupBy(rows, (row) => `${row.class}\n${row.source}\n${row.keys}`);
  const burstOf = new Map<string, Burst>();
  for (const some of alike.values()) {
    if (some.length < 2) continue;
    let run: IncidentRow[] = [];
    const end = (): void => {
      if (run.length < 2) return;
      const burst = burstFrom(run);
      for (const { id } of run) burstOf.set(id, burst);
    };
    for (const row of some.toSorted((one, other) => (one.created_at < other.created_at ? -1 : 1))) {
      const before = run.at(-1);
      if (before !== undefined && Date.parse(row.created_at) - Date.parse(before.created_at) > LONGEST_GAP) {
        end();
        run = [];
      }
      run.push(row);
    }
    end();
  }
  const given = new Set<Burst>();
  return rows.flatMap((row) => {
    const burst = burstOf.get(row.id);
    if (burst === undefined) return row;
    if (given.has(burst)) return [];
    given.add(burst);
    return burst;
  });
};

/** @param run oldest first */
const burstFrom = (run: readonly IncidentRow[]): Burst => {
  const [first, last] = [run[0]!, run.at(-1)!];
  const held = together(run.map((row) => row.held));
  const severity = run.reduce(
    (worst, row) => (isMoreSevere(row.severity, worst) ? row.severity : worst),
    SEVERITIES.at(-1)!,
  );
  const state = run.reduce(
    (worst, row) => (STATES.indexOf(row.state) < STATES.indexOf(worst) ? row.state : worst),
    STATES.at(-1)!,
  );
  return {
    key: `burst-${first.id}`,
    rows: run.toReversed(),
    class: first.class,
    source: first.source,
    severity,
    state,
    first: first.created_at,
    last: last.created_at,
    ...(held && { held }),
    evidence: sharedExcerpt(run.map(({ evidence = [] }) => evidence)),
    machines: [...new Set(run.flatMap(({ machine = [] }) => machine))],
    assignees: [...new Set(run.flatMap(({ assignee = [] }) => assignee))],
  };
};

/** The incidents of a line. */
export const rowsOfLine = (line: Line): readonly IncidentRow[] =>
  line.kind === 'row' ? [line.row] : line.kind === 'burst' ? line.burst.rows : [];
