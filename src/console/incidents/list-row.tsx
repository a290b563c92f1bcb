import type { ComponentChildren } from 'preact';
import { memo } from '../memo-component.ts';
import { ContainmentMark, SeverityMark, StateMark } from '../parts/marks.tsx';
import { Icon } from '../parts/icon.tsx';
import { Person } from '../parts/person.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';
import { age, grouped, shortMoment, timeOfDay } from '../format.ts';
import { idOf } from '../incident-key.ts';
import { isFleet } from '../service.ts';
import { me } from '../me.ts';
import { now } from '../now.ts';
import { readFilters } from '../filters.ts';
import { goTo, listOf, route } from '../route.ts';
import { posture } from '../posture/live-posture.ts';
import { FIRST_MEMBERS, type Burst, type Line } from './list-lines.ts';
import type { Contained } from './containment-cell.ts';
import type { Excerpt } from './evidence-excerpt.ts';
import { unfold } from './selection.ts';

export const rowId = (key: string): string => `row-${key}`;

/** How much of a line is selected. */
export type Selected = 'none' | 'some' | 'all';

interface ListRowProps {
  readonly line: Extract<Line, { readonly kind: 'row' | 'burst' }>;
  /** Its place in the list, from 0. */
  readonly index: number;
  readonly isCurrent: boolean;
  readonly selected: Selected;
  readonly isOpen: boolean;
  /** Whether it has just come. */
  readonly isNew: boolean;
  /** Its address: of the incident, or of the list of the burst. */
  readonly href: string;
  readonly onOpen: (line: ListRowProps['line']) => void;
  readonly onSelect: (line: ListRowProps['line'], index: number, isRange: boolean) => void;
}

/** One line of the list: an incident, or a burst. */
export const ListRow = memo((props: ListRowProps) => {
  const { line, index, isCurrent, selected, isOpen, isNew, href, onOpen, onSelect } = props;
  const isBurst = line.kind === 'burst';
  const one = isBurst ? line.burst : line.row;
  const kinds = [isBurst ? 'burst' : 'one', !isBurst && line.isMember ? 'member' : ''];
  const looks = [isCurrent ? 'current' : '', isOpen ? 'opened' : '', isNew ? 'new' : ''];
  const open = (event: MouseEvent): void => {
    // Another tab or window is the browser's own business.
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (event.shiftKey) onSelect(line, index, true);
    else onOpen(line);
  };
  return (
    <div
      role="row"
      id={rowId(line.key)}
      aria-rowindex={index + 2}
      aria-selected={selected === 'all'}
      class={`row ${kinds.join(' ')} ${one.severity} ${one.state} ${looks.join(' ')}`}
    >
      <span
        role="gridcell"
        class="cell select"
        onClick={(event) => {
          event.stopPropagation();
          onSelect(line, index, event.shiftKey);
        }}
        // Shift would select text.
        onMouseDown={(event) => event.shiftKey && event.preventDefault()}
      >
        <span class={`check ${selected}`} aria-hidden="true" />
        <span class="unseen">{selected === 'none' ? '' : selected === 'all' ? 'selected' : 'partly selected'}</span>
      </span>
      <span role="gridcell" class="cell severity">
        <SeverityMark severity={one.severity} />
      </span>
      <span role="gridcell" class="cell state">
        <StateMark state={one.state} />
      </span>
      <span role="gridcell" class="cell description">
        {isBurst && <Twist line={line} />}
        {isBurst && <span class="times">×{grouped(line.burst.rows.length)}</span>}
        {!isBurst && line.row.occurrences > 1 && (
          <span class="times" title={`One incident, reported ${grouped(line.row.occurrences)} times`}>
            ×{grouped(line.row.occurrences)}
          </span>
        )}
        {!isBurst && line.row.drill && (
          <span class="drill" title="A rehearsal: it counts nowhere">
            drill
          </span>
        )}
        <a class="way" href={href} tabIndex={-1} onClick={open} draggable={false}>
          <VerbatimLine text={isBurst ? line.burst.rows[0]!.description : line.row.description} />
        </a>
      </span>
      <span role="gridcell" class="cell sub">
        <code>{one.class}</code>
        <span class="from">from</span>
        <Source line={line} />
        {isBurst && <Span burst={line.burst} />}
        {!isBurst && line.row.occurrences > 1 && (
          <span class="more">
            · one incident, reported {line.row.occurrences === 2 ? 'twice' : `${grouped(line.row.occurrences)} times`}
          </span>
        )}
      </span>
      {isFleet && (
        <span role="gridcell" class="cell machine">
          <Machines line={line} />
        </span>
      )}
      <span role="gridcell" class="cell evidence">
        <EvidenceExcerpt excerpt={one.evidence ?? []} />
      </span>
      <span role="gridcell" class="cell held">
        <ContainmentCell line={line} />
      </span>
      <span role="gridcell" class="cell assignee">
        <Assignee line={line} />
      </span>
      <span role="gridcell" class="cell age">
        <Age at={isBurst ? line.burst.last : line.row.created_at} />
      </span>
      <span role="gridcell" class="cell id">
        <code>{isBurst ? `${grouped(line.burst.rows.length)} incidents` : idOf(line.row.id)}</code>
      </span>
    </div>
  );
});

/** Unfolds a burst, or folds it. */
const Twist = ({ line: { burst, isUnfolded } }: { readonly line: Extract<Line, { readonly kind: 'burst' }> }) => (
  <button
    type="button"
    class="twist"
    tabIndex={-1}
    aria-label={isUnfolded ? 'Fold' : 'Unfold'}
    onClick={() => unfold(burst.key, isUnfolded ? undefined : FIRST_MEMBERS)}
  >
    <Icon name={isUnfolded ? 'down' : 'right'} />
  </button>
);

const Source = ({ line }: { readonly line: ListRowProps['line'] }) => (
  <span class="source">
    {line.kind === 'row' && line.row.source_suspicious && (
      <span class="flag" title="The source mixes scripts, or looks like another one">
        !
      </span>
    )}
    <button type="button" class="link" tabIndex={-1} title="Show only this source" onClick={() => filterBySource(line)}>
      <VerbatimLine text={sourceOf(line)} />
    </button>
  </span>
);

/** The machine of an incident, or those of a burst. */
const Machines = ({ line }: { readonly line: ListRowProps['line'] }) => {
  const names = line.kind === 'row' ? [line.row.machine ?? []].flat() : line.burst.machines;
  const [name] = names;
  if (name === undefined) return null;
  const words = names.length === 1 ? name : `${grouped(names.length)} machines`;
  return (
    <button
      type="button"
      class="link"
      tabIndex={-1}
      title={names.length === 1 ? `Show only ${name}` : names.join(', ')}
      onClick={() => goTo(listOf({ ...readFilters(route.peek().query), machines: names.slice(0, MOST_MACHINES) }))}
    >
      <VerbatimLine text={words} />
    </button>
  );
};

/** How many machines one list may name. */
const MOST_MACHINES = 100;

const sourceOf = (line: ListRowProps['line']): string => (line.kind === 'row' ? line.row.source : line.burst.source);

const filterBySource = (line: ListRowProps['line']): void =>
  goTo(listOf({ ...readFilters(route.peek().query), sources: [sourceOf(line)] }));

/** `first 00:44:59 · last 00:45:00` */
const Span = ({ burst: { first, last } }: { readonly burst: Burst }) => (
  <span class="span" title={`${first} – ${last}`}>
    <span class="more">· </span>first {shortMoment(Date.parse(first), now.value)} · last{' '}
    {shortMoment(Date.parse(last), now.value)}
  </span>
);

const EvidenceExcerpt = ({ excerpt }: { readonly excerpt: Excerpt }) => (
  <>
    {excerpt.map(([path, value]) => (
      <code key={path}>
        <VerbatimLine text={path} />{' '}
        <b>
          <VerbatimLine text={value} />
        </b>
      </code>
    ))}
  </>
);

const Assignee = ({ line }: { readonly line: ListRowProps['line'] }) => {
  const names = line.kind === 'row' ? [line.row.assignee ?? []].flat() : line.burst.assignees;
  const [name] = names;
  if (name === undefined) {
    return (
      <span class="nobody" role="img" aria-label="nobody">
        –
      </span>
    );
  }
  return (
    <>
      <Person name={name} isMe={name === me.value} />
      {names.length > 1 && <span class="muted"> +{names.length - 1}</span>}
    </>
  );
};

/** How old it is, over the exact time; without a stream the exact time alone. */
const Age = ({ at }: { readonly at: string }) => {
  const time = Date.parse(at);
  return (
    <>
      <span class="fresh">{age(time, now.value)}</span>
      <time dateTime={at} title={at}>
        {shortMoment(time, now.value)}
      </time>
    </>
  );
};

const LOOKS_WITH_COUNT = new Set(['done']);

/** How the containment stands: the worst action first, with its age; below it the action and the cause. */
const ContainmentCell = ({ line }: { readonly line: ListRowProps['line'] }) => {
  const one = line.kind === 'row' ? line.row : line.burst;
  const { held, state } = one;
  if (state === 'resolved') {
    return <Verdict look="none" words="Nothing asked for any more" />;
  }
  if (held === undefined) {
    const { needs_recovery: needs, recovery = '' } = line.kind === 'row' ? line.row : {};
    const leaves = state === 'open' ? 'policy leaves it to you' : '';
    return (
      <Verdict look="none" words="None asked for" why={needs ? <span class="recovery">{recovery}</span> : leaves} />
    );
  }
  const { look, word, since, done, of } = held;
  return (
    <Verdict
      look={look}
      words={
        <>
          {word}
          {LOOKS_WITH_COUNT.has(look) && ` ${grouped(done)} of ${grouped(of)}`}
          {since !== undefined && <Since at={since} isAgo={look === 'asked'} />}
        </>
      }
      why={
        <Why
          held={held}
          recovery={line.kind === 'row' ? line.row.recovery : undefined}
          needs={line.kind === 'row' && line.row.needs_recovery === true}
        />
      }
    />
  );
};

interface VerdictProps {
  readonly look: Contained['look'];
  readonly words: ComponentChildren;
  readonly why?: ComponentChildren;
}

const Verdict = ({ look, words, why = '' }: VerdictProps) => (
  <>
    <ContainmentMark look={look}>{words}</ContainmentMark>
    {why !== '' && <span class="why">{why}</span>}
  </>
);

/** `16 min`, or without a stream `since 02:14:40`. */
const Since = ({ at, isAgo }: { readonly at: string; readonly isAgo: boolean }) => (
  <>
    <span class="fresh">
      {' '}
      {age(Date.parse(at), now.value)}
      {isAgo && ' ago'}
    </span>
    <span class="late">
      {isAgo ? ' ' : ' since '}
      {timeOfDay(Date.parse(at))}
    </span>
  </>
);

interface WhyProps {
  readonly held: Contained;
  readonly recovery: string | undefined;
  readonly needs: boolean;
}

const Why = ({ held: { look, action, why, done, of }, recovery, needs }: WhyProps) => {
  const heard = action === undefined || isFleet ? undefined : (posture.value.value?.[action].heard_at ?? undefined);
  const isHeard = look === 'unknown' && heard !== undefined;
  return (
    <>
      {needs && recovery !== undefined && (
        <>
          <span class="recovery">{recovery}</span>
          {' · '}
        </>
      )}
      {action !== undefined && (look === 'overdue' || look === 'person' || look === 'unknown') && (
        <>
          <code>{action}</code>
          {(why !== undefined || isHeard) && ': '}
        </>
      )}
      {isHeard && <Heard at={heard} />}
      {!isHeard && look !== 'asked' && look !== 'done' && why !== undefined && <VerbatimLine text={why} />}
      {look === 'asked' && `${grouped(done)} of ${grouped(of)} carried out`}
      {look === 'done' && !isFleet && <HeardLast />}
    </>
  );
};

const Heard = ({ at }: { readonly at: string }) => (
  <>
    heard <span class="fresh">{age(Date.parse(at), now.value)} ago</span>
    <span class="late">{timeOfDay(Date.parse(at))}</span>
  </>
);

/** When the services that carry actions out were heard: the one that was not heard for longest. */
const HeardLast = () => {
  const views = Object.values(posture.value.value ?? {});
  const times = views.filter(({ engaged }) => engaged).map(({ heard_at }) => heard_at);
  const oldest = times.filter((at) => at !== null).toSorted()[0];
  return oldest === undefined ? null : <Heard at={oldest} />;
};
