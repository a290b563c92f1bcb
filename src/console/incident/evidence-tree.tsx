import { useState } from 'preact/hooks';
import type { JsonValue } from '../../json/exact-json.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { counted } from '../format.ts';

type Members = readonly (readonly [name: string, value: JsonValue])[];

/** Levels and members that are open at first, and members that one click adds. */
const OPEN_LEVELS = 3;
const OPEN_MEMBERS = 24;
/** Deeper levels are hardly indented, to leave room for their contents. */
const INDENTED_LEVELS = 8;
const AT_A_TIME = 100;
const LONGEST_TEXT = 500;

/** JSON as a tree. Every name and every string is shown as text, whatever it contains. */
export const EvidenceTree = ({ value }: { readonly value: { readonly [name: string]: JsonValue } }) => (
  <ul class="tree">
    <MemberList members={Object.entries(value)} level={1} path="evidence" inArray={false} />
  </ul>
);

interface MemberListProps {
  readonly members: Members;
  readonly level: number;
  readonly path: string;
  readonly inArray: boolean;
}

const MemberList = ({ members, level, path, inArray }: MemberListProps) => {
  const [shown, setShown] = useState(AT_A_TIME);
  return (
    <>
      {members.slice(0, shown).map(([name, value]) => (
        <Member
          key={name}
          name={name}
          value={value}
          level={level}
          path={pathTo(path, name, inArray)}
          inArray={inArray}
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
  readonly inArray: boolean;
}

const Member = ({ name, value, level, path, inArray }: MemberProps) => {
  const label = (
    <span class={inArray ? 'index' : 'name'}>{inArray ? name : <Verbatim text={name} longest={200} />}</span>
  );
  if (typeof value !== 'object' || value === null) {
    return (
      <li>
        {label} <Scalar value={value} />
        <CopyButton text={() => textOf(value)} what={path.slice(0, 80)} />
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
  return <Branch label={label} size={size} members={members} level={level} path={path} isArray={isArray} />;
};

interface BranchProps {
  readonly label: preact.JSX.Element;
  readonly size: string;
  readonly members: Members;
  readonly level: number;
  readonly path: string;
  readonly isArray: boolean;
}

const Branch = ({ label, size, members, level, path, isArray }: BranchProps) => {
  const [isOpen, setOpen] = useState(level < OPEN_LEVELS && members.length <= OPEN_MEMBERS);
  return (
    <li>
      <details open={isOpen} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>
          {label} <span class="size">{size}</span>
        </summary>
        {isOpen && (
          <ul class={level > INDENTED_LEVELS ? 'tree deep' : 'tree'}>
            <MemberList members={members} level={level + 1} path={path} inArray={isArray} />
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

const pathTo = (path: string, name: string, inArray: boolean): string =>
  inArray ? `${path}[${name}]` : /^[A-Za-z_]\w*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;
