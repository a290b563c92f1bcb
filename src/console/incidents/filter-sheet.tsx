import { useEffect, useRef, useState } from 'preact/hooks';
import { CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { CONTAINMENTS, type Filters, isGrouped, NO_FILTERS, NOBODY, SPANS, toggled } from '../filters.ts';
import { spelled } from '../format.ts';
import { knownLabels } from '../of-fleet/known-labels.ts';
import { isFleet } from '../service.ts';
import { me } from '../me.ts';
import { Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { SeverityMark, StateMark } from '../parts/marks.tsx';
import { serviceTime } from '../service-time.ts';
import { goTo, route } from '../route.ts';
import { localTime } from './command-fields.tsx';
import { fieldNamed, textOf, termsOf, wordsOf } from './filter-fields.ts';
import { changeFilters } from './change-filters.ts';
import type { IncidentRow } from './incident-row.ts';
import { savedViews } from './saved-views.ts';

export const SHEET_SEARCH_ID = 'sheet-search';
/** The pause in typing after which the search starts, in milliseconds. */
const REST = 300;

interface FilterSheetProps {
  readonly filters: Filters;
  readonly rows: () => readonly IncidentRow[];
  readonly onClose: () => void;
}

/** All filters with their fields, where there is no room for the line. Every choice takes effect at once. */
export const FilterSheet = ({ filters, rows, onClose }: FilterSheetProps) => {
  const set = (changed: Partial<Filters>): void => changeFilters((now) => ({ ...now, ...changed }));
  const [typed, setTyped] = useState(filters.words);
  const rest = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(rest.current), []);
  const search = (value: string): void => {
    clearTimeout(rest.current);
    set({ words: wordsOf(textOf(value), termsOf(value)) });
  };
  const sources = fieldNamed('source')!.values(rows());
  const bound = (name: 'since' | 'until', label: string) => (
    <label>
      {label}
      <input
        type="datetime-local"
        value={localTime(filters[name])}
        onChange={({ currentTarget: { value } }) => {
          const at = Date.parse(value);
          if (value === '') set({ [name]: undefined });
          else if (!Number.isNaN(at)) set({ [name]: new Date(at).toISOString(), last: undefined });
        }}
      />
    </label>
  );
  return (
    <Dialog title="Filter" kind="sheet" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          search(typed);
          onClose();
        }}
      >
        <DialogBody>
          <label>
            View
            <select
              value={savedViews.value.find(({ query }) => query === route.value.query)?.fragment ?? ''}
              onChange={({ currentTarget: { value } }) => {
                if (value === '') return;
                onClose();
                goTo(value);
              }}
            >
              <option value="">Your filter</option>
              {savedViews.value.map(({ name, fragment, count }) => (
                <option key={name} value={fragment}>
                  {name}
                  {count !== undefined && ` (${count})`}
                </option>
              ))}
            </select>
          </label>
          <label>
            Search
            <input
              id={SHEET_SEARCH_ID}
              type="search"
              placeholder="evidence.ip:203.0.113.7"
              maxLength={200}
              value={typed}
              onInput={({ currentTarget: { value } }) => {
                setTyped(value);
                clearTimeout(rest.current);
                rest.current = setTimeout(search, REST, value);
              }}
              onKeyDown={(event) => {
                if (event.key !== 'Escape' || event.isComposing) return;
                // The browser would empty the field, and leave the sheet open.
                event.preventDefault();
                onClose();
              }}
            />
          </label>
          <fieldset class="choice">
            <legend>Severity</legend>
            {SEVERITIES.map((severity) => (
              <label key={severity}>
                <input
                  type="checkbox"
                  class="unseen"
                  checked={filters.severities.includes(severity)}
                  onChange={() => changeFilters((now) => toggled(now, 'severities', severity))}
                />
                <span>
                  <SeverityMark severity={severity} />
                </span>
              </label>
            ))}
          </fieldset>
          <fieldset class="choice">
            <legend>State</legend>
            {STATES.map((state) => (
              <label key={state}>
                <input
                  type="checkbox"
                  class="unseen"
                  checked={filters.states.includes(state)}
                  onChange={() => changeFilters((now) => toggled(now, 'states', state))}
                />
                <span>
                  <StateMark state={state} />
                </span>
              </label>
            ))}
          </fieldset>
          <div class="fields">
            <label>
              Class
              <select
                value={filters.classes.length > 1 ? 'several' : (filters.classes[0] ?? '')}
                onChange={({ currentTarget: { value } }) => set({ classes: CLASSES.filter((name) => name === value) })}
              >
                <option value="">Every class</option>
                {filters.classes.length > 1 && <option value="several">{filters.classes.length} classes</option>}
                {CLASSES.map((name) => (
                  <option key={name} value={name}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Source
              <input
                list="sheet-sources"
                maxLength={256}
                value={filters.sources[0] ?? ''}
                onChange={({ currentTarget: { value } }) => set({ sources: value.trim() === '' ? [] : [value.trim()] })}
              />
              <datalist id="sheet-sources">
                {sources.map(({ value }) => (
                  <option key={value} value={value} />
                ))}
              </datalist>
            </label>
            {isFleet && (
              <>
                <label>
                  Machine
                  <input
                    list="sheet-machines"
                    maxLength={64}
                    value={filters.machines?.[0] ?? ''}
                    onChange={({ currentTarget: { value } }) =>
                      set({ machines: value.trim() === '' ? undefined : [value.trim()] })
                    }
                  />
                  <datalist id="sheet-machines">
                    {fieldNamed('machine')!
                      .values(rows())
                      .map(({ value }) => (
                        <option key={value} value={value} />
                      ))}
                  </datalist>
                </label>
                <label>
                  Label
                  <input
                    list="sheet-labels"
                    maxLength={128}
                    placeholder="site=berlin"
                    value={filters.labels?.[0] ?? ''}
                    onChange={({ currentTarget: { value } }) =>
                      set({ labels: value.includes('=') ? [value.trim()] : undefined })
                    }
                  />
                  <datalist id="sheet-labels">
                    {knownLabels.value.map(({ label }) => (
                      <option key={label} value={label} />
                    ))}
                  </datalist>
                </label>
              </>
            )}
            <label>
              Assignee
              <input
                list="sheet-people"
                maxLength={256}
                value={filters.assignee ?? ''}
                onChange={({ currentTarget: { value } }) =>
                  set({ assignee: value.trim() === '' ? undefined : value.trim() })
                }
              />
              <datalist id="sheet-people">
                <option value={NOBODY} />
                {me.value !== undefined && <option value={me.value} />}
              </datalist>
            </label>
            <label>
              Containment
              <select
                value={filters.containment ?? ''}
                onChange={({ currentTarget: { value } }) =>
                  set({ containment: CONTAINMENTS.find((one) => one === value) })
                }
              >
                <option value="">However it stands</option>
                {CONTAINMENTS.map((name) => (
                  <option key={name} value={name}>
                    {spelled(name)}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Reported
              <select
                value={filters.since !== undefined || filters.until !== undefined ? 'between' : (filters.last ?? '')}
                onChange={({ currentTarget: { value } }) =>
                  changeFilters(({ last: _last, since: _since, until: _until, ...now }) => ({
                    ...now,
                    ...(value === 'between' && { since: new Date(serviceTime() - SPANS['24h']).toISOString() }),
                    ...(value in SPANS && { last: value as keyof typeof SPANS }),
                  }))
                }
              >
                <option value="">Any time</option>
                <option value="1h">Last hour</option>
                <option value="24h">Last 24 hours</option>
                <option value="7d">Last 7 days</option>
                <option value="between">Between…</option>
              </select>
            </label>
          </div>
          {(filters.since ?? filters.until) !== undefined && (
            <div class="fields">
              {bound('since', 'Reported from')}
              {bound('until', 'Reported before')}
            </div>
          )}
          <label class="tick-line">
            <input
              type="checkbox"
              checked={isGrouped(filters)}
              onChange={({ currentTarget }) => set({ grouped: currentTarget.checked })}
            />
            Group bursts
          </label>
        </DialogBody>
        <DialogFoot>
          <button
            type="button"
            onClick={() => changeFilters(({ sort }) => ({ ...NO_FILTERS, ...(sort !== undefined && { sort }) }))}
          >
            Clear all
          </button>
          <button type="submit" class="primary">
            Show
          </button>
        </DialogFoot>
      </form>
    </Dialog>
  );
};
