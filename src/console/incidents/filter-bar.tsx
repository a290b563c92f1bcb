import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { CLASSES, SEVERITIES, STATES, type IncidentClass } from '../../../machines/vocabulary.ts';
import { type Filters, readFilters, SPANS, type Span, toggled } from '../filters.ts';
import { useLiveResource } from '../live-resource.ts';
import { SeverityMark, StateMark } from '../parts/marks.tsx';
import { goTo, listOf, route } from '../route.ts';
import { serviceTime } from '../service-time.ts';
import { statistics } from '../statistics.ts';
import { grouped, spelled } from '../format.ts';

/** The pause in typing after which the search starts, in milliseconds. */
const REST = 300;

export const SEARCH_ID = 'search';

const SPAN_WORDS: Readonly<Record<Span, string>> = { '1h': 'Last hour', '24h': 'Last 24 hours', '7d': 'Last 7 days' };

interface FilterBarProps {
  readonly filters: Filters;
  /** Gives sources that can be chosen from. */
  readonly sources: () => readonly string[];
}

/** The filters of the list. Every choice changes the address. */
export const FilterBar = ({ filters, sources }: FilterBarProps) => {
  const counts = useLiveResource(statistics);
  // Of the address as it is then: several may change before this is drawn again.
  const change = (changed: Partial<Filters>): void =>
    goTo(listOf({ ...readFilters(route.peek().query), ...changed }), 'replace');
  return (
    <form role="search" class="filters" onSubmit={(event) => event.preventDefault()}>
      <Search words={filters.words} onSearch={(words) => change({ words })} />
      <fieldset class="chips">
        <legend class="unseen">State</legend>
        {STATES.map((state) => (
          <button
            key={state}
            type="button"
            class="chip"
            aria-pressed={filters.states.includes(state)}
            onClick={() => change(toggled(filters, 'states', state))}
          >
            <StateMark state={state} />
            <span class="count">{counts === undefined ? '–' : grouped(counts.by_state[state])}</span>
          </button>
        ))}
      </fieldset>
      <fieldset class="chips">
        <legend class="unseen">Severity</legend>
        {SEVERITIES.map((severity) => (
          <button
            key={severity}
            type="button"
            class="chip"
            aria-pressed={filters.severities.includes(severity)}
            onClick={() => change(toggled(filters, 'severities', severity))}
          >
            <SeverityMark severity={severity} />
          </button>
        ))}
      </fieldset>
      <select
        aria-label="Class"
        value={filters.classes.length > 1 ? 'several' : (filters.classes[0] ?? '')}
        onChange={({ currentTarget: { value } }) => change({ classes: value === '' ? [] : [value as IncidentClass] })}
      >
        <option value="">Every class</option>
        {filters.classes.length > 1 && <option value="several">{filters.classes.length} classes</option>}
        {CLASSES.map((name) => (
          <option key={name} value={name}>
            {spelled(name)}
          </option>
        ))}
      </select>
      <TimeFilter filters={filters} onChange={change} />
      <button
        type="button"
        class="chip"
        aria-pressed={filters.collapsed === true}
        title="One row for incidents with the same severity, state, class and source"
        onClick={() => change({ collapsed: filters.collapsed !== true })}
      >
        Collapse alike
      </button>
      <SourceFilter chosen={filters.sources} offered={sources} onChange={change} />
      {filters.holds !== undefined && (
        <button
          type="button"
          class="chip"
          aria-label={`Holds ${filters.holds}: take this filter away`}
          onClick={() => change({ holds: undefined })}
        >
          Holds {spelled(filters.holds)} ✕
        </button>
      )}
      {filters.sources.map((source) => (
        <button
          key={source}
          type="button"
          class="chip"
          aria-label={`Source ${source}: take this filter away`}
          onClick={() => change({ sources: filters.sources.filter((other) => other !== source) })}
        >
          <bdi>{source}</bdi> ✕
        </button>
      ))}
    </form>
  );
};

interface SourceFilterProps {
  readonly chosen: readonly string[];
  readonly offered: () => readonly string[];
  readonly onChange: (changed: Partial<Filters>) => void;
}

/** The most sources that the API takes, and that are offered. */
const MOST_SOURCES = 16;
const MOST_OFFERED = 50;

/** Adds a source by its exact name. */
const SourceFilter = ({ chosen, offered, onChange }: SourceFilterProps) => {
  const [known, setKnown] = useState<readonly string[]>([]);
  const listId = useId();
  return (
    <>
      <input
        list={listId}
        placeholder="Source"
        aria-label="Source"
        maxLength={256}
        disabled={chosen.length >= MOST_SOURCES}
        onFocus={() => setKnown(offered())}
        onKeyDown={(event) => {
          if (event.key !== 'Escape' || event.isComposing) return;
          event.currentTarget.value = '';
          event.currentTarget.blur();
        }}
        onChange={({ currentTarget }) => {
          const source = currentTarget.value.trim();
          currentTarget.value = '';
          if (source !== '' && !chosen.includes(source)) onChange({ sources: [...chosen, source] });
        }}
      />
      <datalist id={listId}>
        {known.slice(0, MOST_OFFERED).map((source) => (
          <option key={source} value={source} />
        ))}
      </datalist>
    </>
  );
};

const Search = ({ words, onSearch }: { readonly words: string; readonly onSearch: (words: string) => void }) => {
  const [typed, setTyped] = useState(words);
  const rest = useRef<ReturnType<typeof setTimeout>>(undefined);
  /** The last search of this field. When it comes back as `words`, the user may have typed more. */
  const searched = useRef(words);
  // Before the next key: a late effect would put the words of an earlier search over those typed since.
  useLayoutEffect(() => {
    if (words !== searched.current) {
      clearTimeout(rest.current);
      setTyped(words);
    }
    searched.current = words;
  }, [words]);
  useEffect(() => () => clearTimeout(rest.current), []);
  const search = (value: string): void => {
    clearTimeout(rest.current);
    searched.current = value.trim();
    onSearch(value.trim());
  };
  return (
    <input
      id={SEARCH_ID}
      type="search"
      placeholder="Search description, source, id"
      aria-label="Search"
      maxLength={200}
      value={typed}
      onInput={({ currentTarget: { value } }) => {
        setTyped(value);
        clearTimeout(rest.current);
        rest.current = setTimeout(search, REST, value);
      }}
      onKeyDown={(event) => {
        const { key, currentTarget } = event;
        if ((key !== 'Escape' && key !== 'Enter') || event.isComposing) return;
        // The browser would empty the field alone.
        event.preventDefault();
        const value = key === 'Enter' ? currentTarget.value : '';
        setTyped(value);
        search(value);
        currentTarget.blur();
      }}
    />
  );
};

interface TimeFilterProps {
  readonly filters: Filters;
  readonly onChange: (changed: Partial<Filters>) => void;
}

const TimeFilter = ({ filters, onChange }: TimeFilterProps) => {
  const isBetween = filters.since !== undefined || filters.until !== undefined;
  const choose = (value: string): void => {
    const now = serviceTime();
    const choice =
      value === 'between'
        ? { since: new Date(now - SPANS['24h']).toISOString() }
        : value === ''
          ? {}
          : { last: value as Span };
    const { classes, states, severities, sources, words, holds, collapsed = false } = readFilters(route.peek().query);
    const others = { classes, states, severities, sources, words, collapsed, ...(holds !== undefined && { holds }) };
    goTo(listOf({ ...others, ...choice }), 'replace');
  };
  const bound = (name: 'since' | 'until') => (
    <input
      type="datetime-local"
      aria-label={name === 'since' ? 'Reported from' : 'Reported before'}
      value={localTime(filters[name])}
      onChange={({ currentTarget: { value } }) => {
        const milliseconds = Date.parse(value);
        if (value === '' || !Number.isNaN(milliseconds)) {
          onChange({ [name]: value === '' ? undefined : new Date(milliseconds).toISOString() });
        }
      }}
    />
  );
  return (
    <>
      <select
        aria-label="Time"
        value={isBetween ? 'between' : (filters.last ?? '')}
        onChange={({ currentTarget: { value } }) => choose(value)}
      >
        <option value="">Any time</option>
        {Object.entries(SPAN_WORDS).map(([span, name]) => (
          <option key={span} value={span}>
            {name}
          </option>
        ))}
        <option value="between">Between…</option>
      </select>
      {isBetween && (
        <span class="between">
          {bound('since')} – {bound('until')}
        </span>
      )}
    </>
  );
};

/** A time in the form of a `datetime-local` field: `2026-11-22T07:12`. */
const localTime = (timestamp: string | undefined): string => {
  if (timestamp === undefined) return '';
  const at = new Date(timestamp);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};
