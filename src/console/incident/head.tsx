import { useState } from 'preact/hooks';
import type { Incident } from '../../domain/incident.ts';
import { attentionTops, isAttention } from '../attention.ts';
import { NO_FILTERS, readFilters } from '../filters.ts';
import { counted, grouped } from '../format.ts';
import { containedBy } from '../incidents/containment-cell.ts';
import { type Line, rowsOfLine } from '../incidents/list-lines.ts';
import { savedViews } from '../incidents/saved-views.ts';
import { act } from '../keyboard.ts';
import { Since } from '../parts/age.tsx';
import { nameOfIncident } from '../incident-key.ts';
import { Machine } from '../parts/machine.tsx';
import { CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { ContainmentMark, SeverityMark, StateMark } from '../parts/marks.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { fragmentOf, listOf, route } from '../route.ts';

interface HeadProps {
  readonly incident: Incident;
  /** The lines of the list that it was opened from. */
  readonly lines: readonly Line[];
}

/** Descriptions that fit into two lines. */
const SHORT = 120;

/** Where one is, what it is, and since when. */
export const Head = ({ incident, lines }: HeadProps) => {
  const [isWhole, showWhole] = useState(false);
  const { description, source } = incident;
  const held = incident.state === 'resolved' ? undefined : containedBy(incident.containment?.actions ?? []);
  const isShort = description.length <= SHORT && !description.includes('\n');
  return (
    <>
      <Crumbs id={incident.id} lines={lines} />
      <header class="incident-head">
        <p class="incident-line">
          <SeverityMark severity={incident.severity} />
          <StateMark state={incident.state} />
          {held !== undefined && incident.drill !== true && (
            <ContainmentMark look={held.look}>
              {held.word} {held.since !== undefined && <Since at={held.since} />}
              {held.look === 'done' && `${held.done} of ${held.of}`}
            </ContainmentMark>
          )}
          <code class="muted">{incident.class}</code>
          {incident.drill && <span class="drill">drill</span>}
          {incident.occurrences > 1 && <span class="times">×{grouped(incident.occurrences)}</span>}
        </p>
        <h2 class={`description ${isWhole || isShort ? '' : 'clamp'}`}>
          <Verbatim text={description} longest={isWhole ? description.length : 600} key={String(isWhole)} />
        </h2>
        <p class="small muted from-line">
          from{' '}
          <a href={listOf({ ...NO_FILTERS, sources: [source] })} title="Show every incident of this source">
            <Verbatim text={source} longest={600} />
          </a>
          {incident.source_suspicious && <strong> · suspicious: mixes scripts, or looks like another source</strong>} ·
          reported <Moment at={incident.created_at} />
          <span class="fresh">
            , <Ago at={incident.created_at} />
          </span>
          {incident.clock_uncertain && <strong> · the clock had jumped: times may be wrong</strong>}
          {!isShort && (
            <>
              {' · '}
              <button type="button" class="link" aria-expanded={isWhole} onClick={() => showWhole(!isWhole)}>
                {isWhole ? 'Show less' : `Show all of the description, ${counted(description.length, 'character')}`}
              </button>
            </>
          )}
        </p>
      </header>
    </>
  );
};

/** The way back to the list, the id, and the place in the list. */
const Crumbs = ({ id, lines }: { readonly id: string; readonly lines: readonly Line[] }) => {
  const { query } = route.value;
  const { id: named, machine } = nameOfIncident(id);
  const name = savedViews.value.find((view) => view.query === query)?.name ?? (query === '' ? 'All' : 'Filtered list');
  const stops = lines.filter(({ kind }) => kind === 'row' || kind === 'burst');
  const found = stops.findIndex((line) => line.key === id);
  const place = found === -1 ? stops.findIndex((line) => rowsOfLine(line).some((row) => row.id === id)) : found;
  const count = isAttention(readFilters(query)) ? attentionTops.value.length : stops.length;
  return (
    <div class="crumbs">
      <a
        class="close"
        href={fragmentOf({ view: 'incidents', query })}
        aria-label={`Close the incident: back to ${name}`}
      >
        <Icon name="left" />
        {name}
      </a>
      <code class="id">{named}</code>
      <CopyButton text={() => named} what="the id" />
      {machine !== undefined && <Machine name={machine} />}
      {place !== -1 && (
        <span class="end">
          {grouped(place + 1)} of {grouped(Math.max(count, stops.length))}
          <button type="button" class="quiet sm" aria-label="Previous incident" onClick={() => act('previous')}>
            <Icon name="up" />
          </button>
          <button type="button" class="quiet sm" aria-label="Next incident" onClick={() => act('next')}>
            <Icon name="down" />
          </button>
          <kbd aria-hidden="true">k</kbd>
          <kbd aria-hidden="true">j</kbd>
        </span>
      )}
    </div>
  );
};
