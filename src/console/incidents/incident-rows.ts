/**
 * The rows of the list under one set of filters: pages of the API, kept current with the log.
 *
 * Rows are in the order of the API: the most severe first, then the newest, unless the filters sort them otherwise. Each
 * page is added at the end. An incident that is new, or that the filters admit now, goes to its place in the order; if that
 * place is after the last page, it waits. A row that the filters no longer admit is kept and not shown. Entries are applied
 * at once and drawn once per frame.
 */
import { batch, signal } from '@preact/signals';
import { SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { serviceTime } from '../service-time.ts';
import { admits, apiQuery, asksTheService, type Filters, isGrouped, oldApiQuery, type Scope } from '../filters.ts';
import { nameOfIncident, queryOfIncident } from '../incident-key.ts';
import { read } from '../operator.ts';
import { reasonOf, Refusal } from '../request.ts';
import { type IncidentRow, type ListedIncident, rowOf, rowOfReport } from './incident-row.ts';
import { type Entry, type IncidentEntry, isAboutIncident } from '../../domain/entries.ts';

export type Progress =
  | { readonly kind: 'loading' }
  /** There are further pages. */
  | { readonly kind: 'more' }
  | { readonly kind: 'complete' }
  | { readonly kind: 'failed'; readonly reason: string };

const PAGE = 200;
/** Bursts are gathered here, so more is read at a time where they are one row each, and up to so many at once. */
const GROUPED_PAGE = 1000;
const MOST_GROUPED = 5000;
/** The most incidents that are read one by one. */
const MOST_TO_LOOK_AT = 200;
/** How many arrivals are remembered. */
const MOST_ARRIVALS = 1000;

export class IncidentRows {
  readonly rows = signal<readonly IncidentRow[]>([]);
  readonly progress = signal<Progress>({ kind: 'loading' });
  /** Whether so much has changed that the list should be read again. */
  readonly isStale = signal(false);
  /** The identifiers of what has come since the list was read, the latest last. */
  readonly arrivals = signal<readonly string[]>([]);
  readonly filters: Filters;
  readonly #isGrouped: boolean;
  /** Whether the service knows only the first filters. */
  #isOldService = false;
  readonly #nextFrame: (draw: () => void) => void;
  readonly #isSilenced: (row: IncidentRow) => boolean;
  readonly #needsEvidence: boolean;
  readonly #abort = new AbortController();
  readonly #known = new Map<string, IncidentRow>();
  /** The identifiers of the rows in their order. */
  readonly #placed: string[] = [];
  /** The identifiers of rows whose place is after the last page. */
  #early: string[] = [];
  #next: string | undefined;
  #busy = false;
  #isDrawn = true;
  /** Entries that arrived during the read of a page: they may be newer than the page. */
  #waiting: IncidentEntry[] = [];
  readonly #toLookAt = new Set<string>();
  #looking = false;

  /**
   * @param isSilenced whether a silence matches an incident that comes
   * @param showsEvidence whether the rows show the first values of evidence
   */
  constructor(
    filters: Filters,
    nextFrame: (draw: () => void) => void = (draw) => void requestAnimationFrame(draw),
    isSilenced: (row: IncidentRow) => boolean = () => false,
    showsEvidence = false,
  ) {
    this.#isSilenced = isSilenced;
    this.filters = filters;
    this.#isGrouped = isGrouped(filters);
    // Bursts are found by the keys of evidence.
    this.#needsEvidence = showsEvidence || this.#isGrouped;
    this.#nextFrame = nextFrame;
    this.#next = this.#first();
  }

  #first(): string {
    return this.#list(this.filters.words, this.#isGrouped ? GROUPED_PAGE : PAGE);
  }

  get(id: string): IncidentRow | undefined {
    return this.#known.get(id);
  }

  /** Reads the next page, unless one is being read or there is none. */
  async loadMore(): Promise<void> {
    do await this.#loadPage();
    while (this.#isGrouped && this.progress.peek().kind === 'more' && this.#placed.length < MOST_GROUPED);
  }

  async #loadPage(): Promise<void> {
    if (this.#busy || this.#next === undefined) return;
    this.#busy = true;
    this.progress.value = { kind: 'loading' };
    const progress = await this.#readPage(this.#next);
    if (this.#abort.signal.aborted) return;
    this.#busy = false;
    for (const id of this.#early.splice(0)) this.#place(this.#known.get(id)!);
    for (const entry of this.#waiting.splice(0)) this.#apply(entry);
    // Together: the grid reads more as soon as it sees `more` and too few rows.
    batch(() => {
      this.#show();
      this.progress.value = progress;
    });
  }

  async #readPage(path: string): Promise<Progress> {
    try {
      const { body, next } = await read<readonly ListedIncident[]>(path, this.#abort.signal);
      for (const incident of body) {
        const row = rowOf(incident);
        if (this.#note(row)) this.#placed.push(row.id);
      }
      this.#next = next;
      return { kind: next === undefined ? 'complete' : 'more' };
    } catch (error) {
      const isNewToIt = error instanceof Refusal && error.status === 400 && !this.#isOldService;
      const isFilteredHere = oldApiQuery(this.filters, 0).toString() !== apiQuery(this.filters, 0).toString();
      if (isNewToIt && (isFilteredHere || !this.#needsEvidence)) {
        // An older service: what it does not know is applied here.
        this.#isOldService = true;
        return this.#readPage(this.#first());
      }
      return { kind: 'failed', reason: reasonOf(error) };
    }
  }

  /** Applies an entry of the log. */
  take(entry: Entry): void {
    if (!isAboutIncident(entry)) return;
    if (this.#busy) this.#waiting.push(entry);
    else this.#apply(entry);
    this.#draw();
  }

  /** Takes off the list what the time that has passed takes off. */
  renew(): void {
    if (this.filters.last !== undefined) this.#draw();
  }

  /** Cancels all requests. */
  close(): void {
    this.#abort.abort();
  }

  #apply(entry: IncidentEntry): void {
    const { incident: id, version, state } = entry.data;
    const known = this.#known.get(id);
    if (known === undefined) {
      if (entry.event === 'incident.reported' && !asksTheService(this.filters)) this.#arrive(rowOfReport(entry));
      else if (this.#mayBelong(entry)) this.#lookAt(id);
      return;
    }
    if (known.version >= version) return;
    const isFurtherReport = entry.event === 'incident.recurred';
    const occurrences = known.occurrences + (isFurtherReport ? 1 : 0);
    const severity = isFurtherReport ? (entry.data.severity ?? known.severity) : known.severity;
    const row = withEntry({ ...known, state, version, occurrences, severity }, entry);
    this.#known.set(id, row);
    if (severity !== known.severity) this.#placeAgain(row);
    const asksForActions = 'intents' in entry.data && state !== 'resolved';
    const changesRecovery = entry.event.startsWith('recovery.') || (isFurtherReport && entry.data.rule !== undefined);
    if (entry.event.startsWith('containment.') || asksForActions || changesRecovery) this.#lookAt(id);
  }

  /** Whether an entry may bring an unlisted incident onto the list. */
  #mayBelong({ event, data }: IncidentEntry): boolean {
    const { states } = this.filters;
    const isMere =
      event === 'incident.carried' ||
      (event === 'incident.recurred' && data.attention === undefined && (data.intents ?? []).length === 0);
    const moves = event.startsWith('incident.') && !isMere;
    return moves && (states.length === 0 || states.includes(data.state));
  }

  #arrive(found: IncidentRow): void {
    const row = this.#isSilenced(found) ? { ...found, silenced: true as const } : found;
    if (!admits(this.filters, row, serviceTime()) || !this.#note(row)) return;
    this.#place(row);
    this.arrivals.value = [...this.arrivals.peek().slice(1 - MOST_ARRIVALS), row.id];
  }

  /** Keeps a row unless a newer one is known. @returns whether the incident was unknown */
  #note(row: IncidentRow): boolean {
    const known = this.#known.get(row.id);
    if (known === undefined || known.version <= row.version) this.#known.set(row.id, row);
    return known === undefined;
  }

  #place(row: IncidentRow): void {
    let [low, high] = [0, this.#placed.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comesBefore(row, this.#known.get(this.#placed[middle]!)!, this.filters)) high = middle;
      else low = middle + 1;
    }
    if (low === this.#placed.length && this.#next !== undefined) this.#early.push(row.id);
    else this.#placed.splice(low, 0, row.id);
  }

  /** Moves a row to its place in the order, once it has another severity. */
  #placeAgain(row: IncidentRow): void {
    for (const ids of [this.#placed, this.#early]) {
      const index = ids.indexOf(row.id);
      if (index >= 0) ids.splice(index, 1);
    }
    this.#place(row);
  }

  /** Reads an incident from the service, one after the other. */
  #lookAt(id: string): void {
    if (this.#toLookAt.size === MOST_TO_LOOK_AT) {
      this.#toLookAt.clear();
      this.isStale.value = true;
    }
    this.#toLookAt.add(id);
    if (!this.#looking) void this.#look();
  }

  async #look(): Promise<void> {
    this.#looking = true;
    for (const id of this.#toLookAt) {
      this.#toLookAt.delete(id);
      try {
        const row = await this.#found(id);
        if (row === undefined) continue;
        if (this.#known.has(id)) this.#note(row);
        else this.#arrive(row);
        this.#draw();
      } catch (error) {
        if (error instanceof Refusal && error.status === 404) continue;
        // Those that are left may be shown as they were.
        if (!this.#abort.signal.aborted) this.isStale.value = true;
        this.#toLookAt.clear();
        break;
      }
    }
    this.#looking = false;
  }

  /** Reads an incident. An unknown one must match the searched words, which only the service can check. */
  async #found(id: string): Promise<IncidentRow | undefined> {
    const { words } = this.filters;
    const isAsked = !asksTheService(this.filters) || this.#known.has(id);
    const { id: named, machine } = nameOfIncident(id);
    const path = isAsked
      ? `/api/v1/incidents/get?${queryOfIncident(id)}`
      : this.#list(`${words} ${named}`, 1, machine === undefined ? {} : { machines: [machine] });
    const { body } = await read<ListedIncident | readonly ListedIncident[]>(path, this.#abort.signal);
    const incident = [body].flat()[0];
    return incident === undefined ? undefined : rowOf(incident);
  }

  #list(words: string, limit: number, of: Scope = {}): string {
    const write = this.#isOldService ? oldApiQuery : apiQuery;
    const query = write({ ...this.filters, ...of, words }, serviceTime());
    query.set('limit', String(limit));
    if (!this.#needsEvidence && !this.#isOldService) query.set('fields', 'summary');
    return `/api/v1/incidents?${query.toString()}`;
  }

  #draw(): void {
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    this.#nextFrame(() => {
      this.#isDrawn = true;
      this.#show();
    });
  }

  #show(): void {
    const now = serviceTime();
    const rows = this.#placed.map((id) => this.#known.get(id)!).filter((row) => admits(this.filters, row, now));
    this.rows.value = rows;
  }
}

const unassigned = ({ assignee: _assignee, ...row }: IncidentRow): IncidentRow => row;
const awake = ({ snoozed_until: _until, ...row }: IncidentRow): IncidentRow => row;

/** The row after an entry about it that says more than its state. */
const withEntry = (row: IncidentRow, { event, timestamp, data }: IncidentEntry): IncidentRow => {
  const said = data as { readonly to?: string | null; readonly until?: string };
  switch (event as string) {
    case 'incident.assigned':
      return { ...unassigned(row), touched_at: timestamp, ...(typeof said.to === 'string' && { assignee: said.to }) };
    case 'incident.snoozed':
      return { ...row, touched_at: timestamp, ...(said.until !== undefined && { snoozed_until: said.until }) };
    case 'incident.acknowledged':
    case 'incident.resolved':
    case 'incident.woken':
      return { ...awake(row), touched_at: timestamp };
    default:
      return event.startsWith('incident.') && event !== 'incident.carried' ? { ...row, touched_at: timestamp } : row;
  }
};

type Compared = Pick<IncidentRow, 'severity' | 'state' | 'class' | 'source' | 'created_at' | 'touched_at'> & {
  readonly assignee?: string;
};

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

const ORDERS: Readonly<Record<string, (one: Compared, other: Compared) => number>> = {
  severity: (one, other) => SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity),
  state: (one, other) => STATES.indexOf(one.state) - STATES.indexOf(other.state),
  class: (one, other) => compare(one.class, other.class),
  source: (one, other) => compare(one.source, other.source),
  assignee: (one, other) => compare(one.assignee ?? '', other.assignee ?? ''),
  created: (one, other) => compare(one.created_at, other.created_at),
  updated: (one, other) => compare(one.touched_at, other.touched_at),
};

/**
 * Whether one comes before another: the most severe first, then the newest, unless the filters say otherwise. What nobody
 * works is last in either order.
 */
const comesBefore = (one: Compared, other: Compared, { sort = 'severity' }: Filters): boolean => {
  const key = sort.replace('-', '');
  const isOwned = one.assignee !== undefined;
  if (key === 'assignee' && isOwned !== (other.assignee !== undefined)) return isOwned;
  const order = ORDERS[key]!(one, other) * (sort.startsWith('-') ? -1 : 1);
  return order === 0 ? one.created_at > other.created_at : order < 0;
};
