import { useState } from 'preact/hooks';
import type { JsonValue } from '../../json/exact-json.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { counted } from '../format.ts';
import { listOfSame } from './similar.ts';

type Members = readonly (readonly [name: string, value: JsonValue])[];

/** Levels and members that are open at first, and members that one click adds. */
const OPEN_LEVELS = 3;
const OPEN_MEMBERS = 24;
/** Deeper levels are hardly indented, to leave room for their contents. */
const INDENTED_LEVELS = 8;
const AT_A_TIME = 100;
const LONGEST_TEXT = 500;

/** What is searched for in it, and how often its values are in other incidents. */
interface Search {
  /** In lower case; empty when nothing is searched for. */
  readonly sought: string;
  /** The paths that are shown; undefined for all. */
  readonly kept: ReadonlySet<string> | undefined;
  /** How many other incidents have the same value, by keys with dots between them. */
  readonly similar: ReadonlyMap<string, number>;
}

interface EvidenceTreeProps extends Search {
  readonly value: { readonly [name: string]: JsonValue };
}

/** JSON as a tree. Every name and every string is shown as text, whatever it contains. */
export const EvidenceTree = ({ value, ...search }: EvidenceTreeProps) => (
  <ul class="tree">
    <MemberList members={Object.entries(value)} level={1} path="evidence" keys="" inArray={false} search={search} />
  </ul>
);

interface MemberListProps {
  readonly members: Members;
  readonly level: number;
  readonly path: string;
  /** The keys on the way, as a search term has them: with dots between them, without places in arrays. */
  readonly keys: string;
  readonly inArray: boolean;
  readonly search: Search;
}

const MemberList = ({ members: all, level, path, keys, inArray, search }: MemberListProps) => {
  const [shown, setShown] = useState(AT_A_TIME);
  const { kept } = search;
  const members = kept === undefined ? all : all.filter(([name]) => kept.has(pathTo(path, name, inArray)));
  return (
    <>
      {members.slice(0, shown).map(([name, value]) => (
        <Member
          key={name}
          name={name}
          value={value}
          level={level}
          path={pathTo(path, name, inArray)}
          keys={inArray ? keys : keys === '' ? name : `${keys}.${name}`}
          inArray={inArray}
          search={search}
        />
      ))}
      {members.length > shown && (
        <li>
          <button type="button" class="link more" onClick={() => setShown(shown + AT_A_TIME)}>
            … {members.length - shown} more
          </button>
        </li>
      )}
    </>
  );
};

interface MemberProps {
  readonly name: string;
  readonly value: JsonValue;
  readonly level: number;
  readonly path: string;
  readonly keys: string;
  readonly inArray: boolean;
  readonly search: Search;
}

const Member = ({ name, value, level, path, keys, inArray, search }: MemberProps) => {
  const { sought } = search;
  const isSought = sought !== '' && !inArray && name.toLowerCase().includes(sought);
  const shownName = inArray ? name : <Verbatim text={name} longest={200} />;
  const label = <span class={inArray ? 'index' : 'name'}>{isSought ? <mark>{shownName}</mark> : shownName}</span>;
  if (typeof value !== 'object' || value === null) {
    const same = listOfSame({ path: keys, value });
    const count = search.similar.get(keys) ?? 0;
    const isHit = sought !== '' && textOf(value).toLowerCase().includes(sought);
    return (
      <li>
        {label}{' '}
        {isHit ? (
          <mark>
            <Scalar value={value} />
          </mark>
        ) : (
          <Scalar value={value} />
        )}
        <span class="value-tools">
          <CopyButton text={() => textOf(value)} what={path.slice(0, 80)} />
          {same !== undefined && (
            <a
              class={`same ${count > 0 ? 'some' : ''}`}
              href={same}
              title={`Incidents with this value at ${keys.slice(0, 80)}`}
              aria-label={`${count > 0 ? `${count} similar` : 'Similar'}: incidents with this ${keys.slice(0, 80)}`}
            >
              {count > 0 ? `${count} similar` : 'similar'}
            </a>
          )}
        </span>
      </li>
    );
  }
  const members = Object.entries(value) as unknown as Members;
  const isArray = Array.isArray(value);
  const size = isArray ? counted(members.length, 'item') : counted(members.length, 'field');
  if (members.length === 0) {
    return (
      <li>
        {label} <span class="size">{isArray ? '[ ] no items' : '{ } no fields'}</span>
      </li>
    );
  }
  return (
    <Branch
      label={label}
      size={size}
      members={members}
      level={level}
      path={path}
      keys={keys}
      isArray={isArray}
      search={search}
    />
  );
};

interface BranchProps {
  readonly label: preact.JSX.Element;
  readonly size: string;
  readonly members: Members;
  readonly level: number;
  readonly path: string;
  readonly keys: string;
  readonly isArray: boolean;
  readonly search: Search;
}

const Branch = ({ label, size, members, level, path, keys, isArray, search }: BranchProps) => {
  const [wasOpened, setOpen] = useState(level < OPEN_LEVELS && members.length <= OPEN_MEMBERS);
  // What is found is in sight.
  const isFound = search.kept !== undefined;
  const isOpen = isFound || wasOpened;
  return (
    <li>
      <details open={isOpen} onToggle={({ currentTarget }) => !isFound && setOpen(currentTarget.open)}>
        <summary>
          {label} <span class="size">{size}</span>
        </summary>
        {isOpen && (
          <ul class={level > INDENTED_LEVELS ? 'tree deep' : 'tree'}>
            <MemberList members={members} level={level + 1} path={path} keys={keys} inArray={isArray} search={search} />
          </ul>
        )}
      </details>
    </li>
  );
};

const Scalar = ({ value }: { readonly value: string | number | boolean | null }) =>
  typeof value === 'string' ? (
    <span class="value text">
      {value === '' ? <span class="size">empty text</span> : <Verbatim text={value} longest={LONGEST_TEXT} />}
    </span>
  ) : (
    <span class="value literal">{textOf(value)}</span>
  );

const textOf = (value: string | number | boolean | null): string =>
  typeof value === 'string' ? value : Object.is(value, -0) ? '-0' : String(value);

/** The place of a member: `evidence.calls[0]`. */
export const pathTo = (path: string, name: string, inArray: boolean): string =>
  inArray ? `${path}[${name}]` : /^[A-Za-z_]\w*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;
