/** One incident and its entries, kept current with the log. */
import { signal } from '@preact/signals';
import type { NextTransition } from '../../../machines/transitions.ts';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import type { Incident } from '../../domain/incident.ts';
import { nameOfIncident, queryOfIncident } from '../incident-key.ts';
import { LiveResource } from '../live-resource.ts';
import { connection, epoch, listen } from '../live-entries.ts';
import { read } from '../operator.ts';
import { type ReadAnswer, reasonOf } from '../request.ts';
import { type SimilarIncident, similarTo } from './similar.ts';
import { type Entry, type IncidentEntry, isAboutIncident } from '../../domain/entries.ts';

/** The incident, with what the policy in force says about what to do. */
export type IncidentAsRead = Incident & { readonly runbook?: string };

/** What becomes of each action that it holds. */
export interface ReleasePreview {
  readonly actions: readonly {
    readonly action: ContainmentAction;
    readonly releases: boolean;
    readonly holders: number;
    readonly others: number;
    /** Whether it is the last that holds it, even if it does not take the command now. */
    readonly last: boolean;
  }[];
}

interface Transitions {
  readonly transitions: readonly NextTransition[];
}

/** An incident can recur without end, and its history grows with that. */
const MOST_ENTRIES = 2000;

/** An entry of the stream with the identifier that its machine's log has. */
const named = (entry: IncidentEntry): IncidentEntry =>
  ({ ...entry, data: { ...entry.data, incident: nameOfIncident(entry.data.incident).id } }) as IncidentEntry;

export class IncidentDetail {
  /** The key of the incident. */
  readonly id: string;
  readonly incident: LiveResource<IncidentAsRead>;
  readonly transitions: LiveResource<Transitions>;
  /** What resolving it would release. */
  readonly preview: LiveResource<ReleasePreview>;
  readonly similar: LiveResource<readonly SimilarIncident[]>;
  /** The entries about it, oldest first. */
  readonly entries = signal<readonly IncidentEntry[]>([]);
  /** Whether there are more entries than these. */
  readonly isCut = signal(false);
  readonly fault = signal<string | undefined>(undefined);

  constructor(id: string) {
    this.id = id;
    const query = queryOfIncident(id);
    const concerns = (entry: Entry): boolean => isAboutIncident(entry) && entry.data.incident === id;
    const changes = (entry: Entry): boolean => concerns(entry) || entry.event === 'policy.reloaded';
    this.incident = new LiveResource(() => `/api/v1/incidents/get?${query}`, changes, 300);
    this.transitions = new LiveResource(() => `/api/v1/incidents/transitions?${query}`, concerns, 300);
    this.preview = new LiveResource(
      () => `/api/v1/containment/preview?${query}&command=resolve`,
      ({ event }) => event.startsWith('incident.') || event.startsWith('containment.'),
      2000,
    );
    this.similar = similarTo(id);
  }

  /** Keeps everything current until the returned function is called. */
  use(): () => void {
    const ends = [
      this.incident.use(),
      this.transitions.use(),
      this.preview.use(),
      this.similar.use(),
      listen((entry) => {
        if (isAboutIncident(entry) && entry.data.incident === this.id) this.#add([named(entry)]);
      }),
      epoch.subscribe(() => {
        // It may be another log.
        this.entries.value = [];
        this.isCut.value = false;
        void this.#readHistory();
      }),
      connection.subscribe((state) => {
        if (state === 'live' && this.fault.peek() !== undefined) void this.#readHistory();
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  async #readHistory(): Promise<void> {
    try {
      const after = this.entries.peek().at(-1)?.data.version ?? 0;
      let path: string | undefined = `/api/v1/incidents/history?${queryOfIncident(this.id)}&after=${String(after)}`;
      while (path !== undefined && !this.isCut.peek()) {
        const page: ReadAnswer<readonly IncidentEntry[]> = await read(path);
        this.#add(page.body);
        path = page.next;
      }
      this.fault.value = undefined;
    } catch (error) {
      this.fault.value = reasonOf(error);
    }
  }

  /** Adds the entries that follow the known ones: stream and pages may bring the same entry. */
  #add(entries: readonly IncidentEntry[]): void {
    const known = this.entries.peek();
    const last = known.at(-1)?.data.version ?? 0;
    const first = entries[0]?.data.version ?? 0;
    if (first > last + 1) {
      void this.#readHistory();
      return;
    }
    const all = [...known, ...entries.filter(({ data }) => data.version > last)];
    this.isCut.value = all.length > MOST_ENTRIES;
    this.entries.value = all.slice(0, MOST_ENTRIES);
  }
}
