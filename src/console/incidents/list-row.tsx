import { memo } from '../memo-component.ts';
import { SeverityMark, StateMark } from '../parts/marks.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';
import { readFilters } from '../filters.ts';
import { goTo, incidentFragment, listOf, route } from '../route.ts';
import { grouped, spelled } from '../format.ts';
import type { IncidentRow } from './incident-row.ts';
import { current, toggle } from './selection.ts';

interface ListRowProps {
  readonly row: IncidentRow;
  /** Its place in the list, from 0. */
  readonly index: number;
  readonly isCurrent: boolean;
  readonly isSelected: boolean;
  readonly isOpen: boolean;
}

export const rowId = (id: string): string => `row-${id}`;

/** One incident of the list. */
export const ListRow = memo(({ row, index, isCurrent, isSelected, isOpen }: ListRowProps) => {
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
        {row.containment === 'degraded' && (
          <span class="flag" title="A containment action failed or was lost">
            !
          </span>
        )}
      </span>
      <span role="gridcell" class="cell time">
        <Ago at={row.created_at} />
        <Moment at={row.created_at} />
      </span>
      <span role="gridcell" class="cell class">
        <span class="cut">{spelled(row.class)}</span>
        {row.occurrences > 1 && (
          <span class="times" title={`Reported ${grouped(row.occurrences)} times`}>
            ×{grouped(row.occurrences)}
          </span>
        )}
      </span>
      <span role="gridcell" class="cell description">
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
