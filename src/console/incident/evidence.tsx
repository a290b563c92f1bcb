import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import type { JsonValue } from '../../json/exact-json.ts';
import type { Incident } from '../../domain/incident.ts';
import { counted, grouped } from '../format.ts';
import { epoch } from '../live-entries.ts';
import { identify } from '../operator.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { EvidenceTree, pathTo } from './evidence-tree.tsx';
import type { SimilarIncident } from './similar.ts';

interface EvidenceProps {
  readonly incident: Incident;
  /** Whether the service shows evidence to some roles only, and not to this reader. */
  readonly isWithheld: boolean;
  /** The incidents with the same values; undefined while that is not known. */
  readonly similar: readonly SimilarIncident[] | undefined;
}

/** What was reported with it: a tree that can be searched, and whose values lead to the incidents that have them too. */
export const Evidence = ({ incident: { evidence }, isWithheld, similar = [] }: EvidenceProps) => {
  const words = useSignal('');
  const size = useMemo(() => (evidence === undefined ? 0 : find(evidence, '').values), [evidence]);
  const sought = words.value.trim().toLowerCase();
  const found = useMemo(
    () => (evidence === undefined || sought === '' ? undefined : find(evidence, sought)),
    [evidence, sought],
  );
  const counts = useMemo(() => {
    const byPath = new Map<string, number>();
    for (const { path } of similar.flatMap(({ same }) => same)) byPath.set(path, (byPath.get(path) ?? 0) + 1);
    return byPath;
  }, [similar]);
  return (
    <section class="card evidence" aria-label="Evidence">
      <header>
        <h3>Evidence</h3>
        {evidence !== undefined && <span class="small muted">{counted(size, 'value')}</span>}
        {evidence !== undefined && (
          <span class="end">
            <label class="find">
              <Icon name="search" />
              <span class="unseen">Search the evidence</span>
              <input
                type="search"
                placeholder="Search"
                value={words.value}
                onInput={({ currentTarget }) => (words.value = currentTarget.value)}
                onKeyDown={(event) => {
                  if (event.key !== 'Escape' || words.peek() === '') return;
                  event.stopPropagation();
                  words.value = '';
                }}
              />
              <output class="small muted">
                {found !== undefined && `${grouped(found.hits)} of ${grouped(found.values)}`}
              </output>
            </label>
            <CopyButton text={() => JSON.stringify(evidence, null, 2)} what="JSON of the evidence" label="Copy JSON" />
          </span>
        )}
      </header>
      {evidence !== undefined && (
        <div class="tree-place">
          <EvidenceTree value={evidence} sought={sought} kept={found?.kept} similar={counts} />
          {found !== undefined && found.hits < found.values && (
            <button type="button" class="link small" onClick={() => (words.value = '')}>
              {found.hits === 0
                ? 'Nothing matches: show all'
                : `${counted(found.values - found.hits, 'other')} do not match`}
            </button>
          )}
        </div>
      )}
      {evidence === undefined && !isWithheld && <p class="empty muted">None was reported.</p>}
      {evidence === undefined && isWithheld && (
        <p class="empty muted">
          Evidence is restricted: give a token with the role auditor, operator or recovery.{' '}
          <button type="button" class="link" onClick={() => void identify().then(() => (epoch.value += 1))}>
            Give a token
          </button>
        </p>
      )}
    </section>
  );
};

interface Found {
  /** How many values there are, and how many match by their name, their value, or what they are in. */
  readonly values: number;
  readonly hits: number;
  /** The paths of what matches, and of what is around that. */
  readonly kept: ReadonlySet<string>;
}

/** Looks for a text in names and values, in lower case; the empty text matches everything. */
const find = (evidence: { readonly [name: string]: JsonValue }, sought: string): Found => {
  const kept = new Set<string>();
  let [values, hits] = [0, 0];
  /** @returns whether anything in it matches */
  const look = (value: JsonValue, path: string, isIn: boolean): boolean => {
    if (typeof value !== 'object' || value === null) {
      values += 1;
      const matches = isIn || String(value).toLowerCase().includes(sought);
      if (matches) {
        hits += 1;
        kept.add(path);
      }
      return matches;
    }
    const isArray = Array.isArray(value);
    let some = isIn && Object.keys(value).length === 0;
    for (const [name, member] of Object.entries(value)) {
      const isNamed = isIn || (!isArray && name.toLowerCase().includes(sought));
      some = look(member, pathTo(path, name, isArray), isNamed) || some;
    }
    if (some) kept.add(path);
    return some;
  };
  look(evidence, 'evidence', false);
  return { values, hits, kept };
};
