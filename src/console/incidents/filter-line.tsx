import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { SEVERITIES, type Severity } from '../../../machines/vocabulary.ts';
import { type Filters, isGrouped, readFilters, writeFilters } from '../filters.ts';
import { fleetMachines } from '../of-fleet/live-fleet.ts';
import { grouped } from '../format.ts';
import { me } from '../me.ts';
import { Icon } from '../parts/icon.tsx';
import { SeverityShape } from '../parts/marks.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';
import { epoch } from '../live-entries.ts';
import { useLiveResource } from '../live-resource.ts';
import { fragmentOf, goTo, listOf, route } from '../route.ts';
import { statistics } from '../statistics.ts';
import { fieldNamed, type Offer, offersFor, textOf, termsOf, type Token, tokensOf, wordsOf } from './filter-fields.ts';
import { changeFilters, sheetIsOpen } from './change-filters.ts';
import { FilterSheet } from './filter-sheet.tsx';
import type { IncidentRow } from './incident-row.ts';
import { mineCount, savedViews, snoozedCount } from './saved-views.ts';

/** The pause in typing after which the search starts, in milliseconds. */
const REST = 300;

export const SEARCH_ID = 'search';

interface FilterLineProps {
  readonly filters: Filters;
  /** The rows on the list: values are suggested from them. */
  readonly rows: () => readonly IncidentRow[];
}

/** The saved views, and the filters of the list in one line. Every choice changes the address. */
export const FilterLine = ({ filters, rows }: FilterLineProps) => {
  useLiveResource(statistics);
  useLiveResource(snoozedCount);
  // The labels that can be chosen.
  // For the labels that may be chosen. They change too seldom to follow every machine.
  useEffect(() => fleetMachines.refresh(), [epoch.value]);
  const tokens = tokensOf(filters);
  const isBursts = isGrouped(filters);
  return (
    <div class="filters">
      {me.value !== undefined && <MineCount />}
      <Views filters={filters} />
      <Field filters={filters} tokens={tokens} rows={rows} onUnfold={() => (sheetIsOpen.value = true)} />
      <button
        type="button"
        class="sm bursts"
        aria-pressed={isBursts}
        title="One row for what is alike and came within ten minutes"
        onClick={() => changeFilters((now) => ({ ...now, grouped: !isGrouped(now) }))}
      >
        Group bursts {isBursts && <span aria-hidden="true">✓</span>}
      </button>
      <button type="button" class="ask-sheet" onClick={() => (sheetIsOpen.value = true)}>
        <Icon name="filter" />
        Filter {tokens.length > 0 && <span class="badge">{tokens.length}</span>}
      </button>
      {sheetIsOpen.value && <FilterSheet filters={filters} rows={rows} onClose={() => (sheetIsOpen.value = false)} />}
    </div>
  );
};

/** Keeps the count of one’s own incidents current. */
const MineCount = () => {
  useLiveResource(mineCount);
  return null;
};

const Views = ({ filters }: { readonly filters: Filters }) => {
  const query = writeFilters({ ...filters, sort: undefined, grouped: undefined });
  const isShown = (saved: string): boolean => writeFilters(readFilters(saved)) === query;
  return (
    <nav class="views" aria-label="Saved views">
      {savedViews.value.map((saved) => (
        <a key={saved.name} href={saved.fragment} aria-current={isShown(saved.query) ? 'page' : undefined}>
          {saved.name} {saved.count !== undefined && <small>{saved.count}</small>}
        </a>
      ))}
      {!savedViews.value.some((saved) => isShown(saved.query)) && (
        <a href={fragmentOf({ view: 'incidents', query })} aria-current="page" class="own">
          Your filter
        </a>
      )}
    </nav>
  );
};

interface FieldProps extends FilterLineProps {
  readonly tokens: readonly Token[];
  /** Shows the tokens that have no room. */
  readonly onUnfold: () => void;
}

/** What a token and the text need, in pixels, about. */
const TOKEN_WIDTH = 168;
const TEXT_WIDTH = 200;

const Field = ({ filters, tokens, rows, onUnfold }: FieldProps) => {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setWidth(box.current?.clientWidth ?? 0));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const room = Math.max(1, Math.floor((width - TEXT_WIDTH) / TOKEN_WIDTH));
  const folded = Math.max(0, tokens.length - room);
  return (
    <search ref={box} class="field">
      <Icon name="filter" />
      {folded > 0 && (
        <button type="button" class="token fold" aria-label={`${folded} more filters: show them`} onClick={onUnfold}>
          +{folded}
        </button>
      )}
      {tokens.slice(folded).map((token) => (
        <TokenChip key={`${token.field} ${token.relation} ${token.value}`} token={token} />
      ))}
      <Ask filters={filters} rows={rows} />
      <kbd aria-hidden="true">/</kbd>
    </search>
  );
};

const TokenChip = ({ token: { field, relation, value, without } }: { readonly token: Token }) => (
  <span class="token">
    <span class="muted">{field}</span>
    <span class="is">{relation}</span>
    <span class="cut">
      {SEVERITIES.includes(value as Severity) && <SeverityShape severity={value as Severity} />}
      <VerbatimLine text={value} />
    </span>
    <button
      type="button"
      aria-label={`${field} ${relation} ${value}: take this filter away`}
      onClick={() => goTo(listOf(without), 'replace')}
    >
      <Icon name="x" />
    </button>
  </span>
);

/** The text: a search, or the beginning of a filter. */
const Ask = ({ filters, rows }: FilterLineProps) => {
  const words = textOf(filters.words);
  const [typed, setTyped] = useState(words);
  const [at, setAt] = useState(-1);
  /** Whether the field has the focus, and nothing was chosen since. */
  const [isAsking, setAsking] = useState(false);
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

  const isFieldBegun = /^[a-z]+\s*:/.test(typed.trim()) && fieldNamed(typed.trim().split(/\s*:/)[0]!) !== undefined;
  const offers = isAsking && (typed !== words || typed === '') ? offersFor(typed, rows()) : [];
  const chosen = offers[at] ?? (isFieldBegun && typed.trim().split(':')[1] !== '' ? offers[0] : undefined);
  const search = (value: string): void => {
    clearTimeout(rest.current);
    const text = textOf(value);
    searched.current = text;
    changeFilters((now) => ({
      ...now,
      words: wordsOf(text, [...new Set([...termsOf(now.words), ...termsOf(value)])]),
    }));
  };
  const type = (value: string): void => {
    setTyped(value);
    setAt(-1);
    setAsking(true);
    clearTimeout(rest.current);
    const isSearch = !/^[a-z]+\s*:/.test(value.trim()) && !/(?:^|\s)evidence\./.test(value);
    if (isSearch) rest.current = setTimeout(search, REST, value);
  };
  const choose = ({ field, suggestion }: Offer): void => {
    clearTimeout(rest.current);
    if (suggestion === undefined) {
      setTyped(`${field}:`);
      setAt(-1);
      document.getElementById(SEARCH_ID)?.focus();
      return;
    }
    setTyped('');
    setAt(-1);
    setAsking(false);
    searched.current = '';
    // What was typed began the filter: it is no search.
    changeFilters((now) =>
      fieldNamed(field)!.add({ ...now, words: wordsOf('', termsOf(now.words)) }, suggestion.value),
    );
  };
  const press = (event: KeyboardEvent & { readonly currentTarget: HTMLInputElement }): void => {
    const { key, currentTarget } = event;
    if (event.isComposing) return;
    if (key === 'ArrowDown' || key === 'ArrowUp') {
      if (offers.length === 0) return;
      event.preventDefault();
      setAt((at + (key === 'ArrowDown' ? 1 : -1) + offers.length) % offers.length);
      return;
    }
    if (key === 'Backspace' && currentTarget.value === '') {
      const last = tokensOf(readFilters(route.peek().query)).at(-1);
      if (last !== undefined) goTo(listOf(last.without), 'replace');
      return;
    }
    if (key !== 'Escape' && key !== 'Enter') return;
    // The browser would empty the field alone.
    event.preventDefault();
    if (key === 'Enter' && chosen !== undefined) {
      choose(chosen);
      return;
    }
    const value = key === 'Enter' ? currentTarget.value : '';
    setTyped(textOf(value));
    if (key === 'Escape') {
      clearTimeout(rest.current);
      searched.current = '';
      changeFilters((now) => ({ ...now, words: wordsOf('', termsOf(now.words)) }));
    } else search(value);
    currentTarget.blur();
  };
  return (
    <div class="ask">
      <input
        id={SEARCH_ID}
        type="text"
        role="combobox"
        aria-label="Filter and search"
        aria-autocomplete="list"
        aria-expanded={offers.length > 0}
        aria-controls="filter-offers"
        aria-activedescendant={offers[at] === undefined ? undefined : `offer-${at}`}
        autocomplete="off"
        spellcheck={false}
        placeholder="Add a filter, or search evidence.ip:203.0.113.7"
        maxLength={200}
        value={typed}
        onFocus={() => setAsking(true)}
        onBlur={() => setAsking(false)}
        onInput={({ currentTarget: { value } }) => type(value)}
        onKeyDown={press}
      />
      {offers.length > 0 && (
        <div id="filter-offers" class="offers" role="listbox" aria-label="Filters">
          {offers.map((offer, index) => (
            <div
              key={offer.key}
              id={`offer-${index}`}
              role="option"
              aria-selected={offer === chosen}
              // Before the field loses the focus.
              onPointerDown={(event) => {
                event.preventDefault();
                choose(offer);
              }}
            >
              <span class="muted">{offer.field}</span>
              {offer.suggestion !== undefined && <VerbatimLine text={offer.suggestion.label} />}
              {offer.suggestion?.count !== undefined && <span class="end">{grouped(offer.suggestion.count)}</span>}
            </div>
          ))}
        </div>
      )}
    </div>
  );
};
