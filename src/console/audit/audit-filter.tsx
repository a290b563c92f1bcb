import { useSignal } from '@preact/signals';
import { ROLES } from '../../../machines/vocabulary.ts';
import { counted } from '../format.ts';
import { localTime } from '../incidents/command-fields.tsx';
import { useActs } from '../keyboard.ts';
import { Icon } from '../parts/icon.tsx';
import { fragmentOf, goTo, route } from '../route.ts';
import { type AuditFilters, isFiltered, readAuditFilters, writeAuditFilters } from './audit-lines.ts';

interface AuditFilterProps {
  readonly filters: AuditFilters;
  /** How many delivery entries there are among what was read. */
  readonly noise: number;
  /** Who has done something, of what was read. */
  readonly people: readonly string[];
}

const EVENTS = [
  'incident',
  'incident.reported',
  'incident.acknowledged',
  'incident.assigned',
  'incident.noted',
  'incident.resolved',
  'incident.snoozed',
  'incident.reopened',
  'containment',
  'containment.overdue',
  'containment.failed',
  'containment.released',
  'recovery',
  'silence',
  'guard',
  'alert',
  'access',
  'policy',
  'log',
  'notification',
] as const;

const WORDS_ID = 'audit-words';
const NONE = readAuditFilters('');

/** Shows these entries, in place of the present address. */
const showAudit = (filters: AuditFilters): void => {
  // At a fleet: the machine whose log it is.
  const { id } = route.peek();
  goTo(fragmentOf({ view: 'audit', ...(id !== undefined && { id }), query: writeAuditFilters(filters) }), 'replace');
};

/** By event, person, role, incident, time and text; and whether delivery entries are shown. */
export const AuditFilter = ({ filters, noise, people }: AuditFilterProps) => {
  const isOpen = useSignal(false);
  const change = (some: Partial<AuditFilters>): void => showAudit({ ...filters, ...some });
  const toggle = (): void => change({ noise: !filters.noise });
  useActs({
    deliveries: toggle,
    search: () => document.getElementById(WORDS_ID)?.focus(),
    ...(isFiltered(filters) && { back: () => showAudit({ ...NONE, noise: filters.noise }) }),
  });
  const field = (name: 'who' | 'incident' | 'words', label: string, more: object = {}) => (
    <label>
      <span>{label}</span>
      <input
        type="search"
        autocomplete="off"
        maxLength={256}
        value={filters[name]}
        onInput={({ currentTarget }) => change({ [name]: currentTarget.value })}
        {...more}
      />
    </label>
  );
  const time = (name: 'since' | 'until', label: string) => (
    <label>
      <span>{label}</span>
      <input
        type="datetime-local"
        value={filters[name] === '' ? '' : localTime(filters[name])}
        onChange={({ currentTarget }) => {
          const at = Date.parse(currentTarget.value);
          change({ [name]: Number.isNaN(at) ? '' : new Date(at).toISOString() });
        }}
      />
    </label>
  );
  const count = Object.entries(filters).filter(([name, value]) => name !== 'noise' && value !== '').length;
  return (
    <div class="audit-filter" role="search" aria-label="Entries">
      <button
        type="button"
        class="sm narrow-only"
        aria-expanded={isOpen.value}
        onClick={() => (isOpen.value = !isOpen.value)}
      >
        <Icon name="filter" /> Filter {count > 0 && <span class="count">{count}</span>}
      </button>
      <div class={`audit-fields ${isOpen.value ? 'open' : ''}`}>
        <label>
          <span>Event</span>
          <select value={filters.event} onChange={({ currentTarget }) => change({ event: currentTarget.value })}>
            <option value="">any</option>
            {[
              ...EVENTS,
              ...(filters.event === '' || EVENTS.some((name) => name === filters.event) ? [] : [filters.event]),
            ].map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {field('who', 'Person', { list: 'audit-people' })}
        <datalist id="audit-people">
          {people.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <label>
          <span>Role</span>
          <select value={filters.role} onChange={({ currentTarget }) => change({ role: currentTarget.value })}>
            <option value="">any</option>
            {ROLES.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {field('incident', 'Incident')}
        {time('since', 'From')}
        {time('until', 'Before')}
        {field('words', 'Text', { id: WORDS_ID })}
        {isFiltered(filters) && (
          <button type="button" class="sm quiet" onClick={() => showAudit({ ...NONE, noise: filters.noise })}>
            Clear
          </button>
        )}
      </div>
      <label class="switch">
        <input type="checkbox" role="switch" checked={filters.noise} onChange={toggle} aria-keyshortcuts="d" />
        {filters.noise ? 'Showing' : 'Show'} {counted(noise, 'delivery entry', 'delivery entries')}
      </label>
    </div>
  );
};
