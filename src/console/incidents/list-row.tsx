import { MINUTE } from '../../clock.ts';
import { memo } from '../memo-component.ts';
import { SeverityMark, StateMark } from '../parts/marks.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';
import { readFilters } from '../filters.ts';
import { goTo, incidentFragment, listOf, route } from '../route.ts';
import { day, grouped, spelled, timeOfDay } from '../format.ts';
import { now } from '../now.ts';
import type { IncidentRow } from './incident-row.ts';
import { current, toggle } from './selection.ts';

interface ListRowProps {
  readonly row: IncidentRow;
  /** Its place in the list, from 0. */
  readonly index: number;
  readonly isCurrent: boolean;
  readonly isSelected: boolean;
  readonly isOpen: boolean;
  /** The address of the list of the incidents that it stands for. */
  readonly unfolded?: string | undefined;
}

/** What is wrong with the containment of an incident, by its status. */
const FLAGS: Readonly<Record<string, string>> = {
  degraded: 'A containment action failed, was lost, or needs a person',
  overdue: 'A containment action was not confirmed in time',
};

/** What keeps an incident from being over. */
const Flags = ({ row: { containment = '', needs_recovery: needsRecovery } }: { readonly row: IncidentRow }) => (
  <span class="flags">
    {containment in FLAGS && (
      <span class="flag" title={FLAGS[containment]}>
        !
      </span>
    )}
    {needsRecovery && (
      <span class="flag recover" title="Recovery is incomplete: it can’t be resolved yet">
        <span aria-hidden="true">R</span>
        <span class="unseen">recovery is incomplete</span>
      </span>
    )}
  </span>
);

export const rowId = (id: string): string => `row-${id}`;

/** One incident of the list. */
export const ListRow = memo(({ row, index, isCurrent, isSelected, isOpen, unfolded }: ListRowProps) => {
  const open = (): void => {
    current.value = row.id;
    goTo(incidentFragment(row.id));
  };
  const select = (event: Event): void => {
    event.stopPropagation();
    current.value = row.id;
    toggle(row.id);
  };
  const filterBySource = (event: Event): void => {
    event.stopPropagation();
    goTo(listOf({ ...readFilters(route.peek().query), sources: [row.source] }));
  };
  return (
    <div
      role="row"
      id={rowId(row.id)}
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      class={`row ${row.severity} ${row.state} ${isCurrent ? 'current' : ''} ${isOpen ? 'opened' : ''}`}
      onClick={open}
    >
      <span role="gridcell" class="cell select" onClick={select}>
        <span class="tick" aria-hidden="true" />
      </span>
      <span role="gridcell" class="cell">
        <SeverityMark severity={row.severity} />
      </span>
      <span role="gridcell" class="cell">
        <StateMark state={row.state} />
        {row.state !== 'resolved' && <Flags row={row} />}
      </span>
      <span role="gridcell" class="cell time">
        <Ago at={row.created_at} />
        <Moment at={row.created_at} />
      </span>
      <span role="gridcell" class="cell class">
        <span class="cut">{spelled(row.class)}</span>
        {row.drill && (
          <span class="drill" title="A rehearsal: it counts nowhere">
            drill
          </span>
        )}
        {row.occurrences > 1 && (
          <span class="times" title={`Reported ${grouped(row.occurrences)} times`}>
            ×{grouped(row.occurrences)}
          </span>
        )}
      </span>
      <span role="gridcell" class="cell description">
        {row.alike && unfolded !== undefined && (
          <a class="fold" href={unfolded} onClick={(event) => event.stopPropagation()}>
            {grouped(row.alike.count)} more, <Span since={row.alike.since} until={row.alike.until} />
          </a>
        )}
        <VerbatimLine text={row.description} />
      </span>
      <span role="gridcell" class="cell source">
        {row.source_suspicious && (
          <span class="flag" title="The source mixes scripts, or looks like another one">
            !
          </span>
        )}
        <button type="button" class="link" tabIndex={-1} title="Show only this source" onClick={filterBySource}>
          <VerbatimLine text={row.source} />
        </button>
      </span>
    </div>
  );
});

/** `12:03–12:07`, with the days unless both are today; `12:03` within a minute. */
const Span = ({ since, until }: { readonly since: string; readonly until: string }) => {
  const [from, to] = [Date.parse(since), Date.parse(until)];
  const minutes = (time: number): string => timeOfDay(time).slice(0, 'hh:mm'.length);
  const dayOf = (time: number, before: number): string => (day(time) === day(before) ? '' : `${day(time)} `);
  return (
    <span title={`${since} – ${until}`}>
      {dayOf(from, now.value)}
      {minutes(from)}
      {(to - from >= MINUTE || minutes(from) !== minutes(to)) && `–${dayOf(to, from)}${minutes(to)}`}
    </span>
  );
};
