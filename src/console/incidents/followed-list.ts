/**
 * A list that is kept current: read once, changed by every entry, and read again when the log is another one or when so
 * much happens at once that single reads can't follow. The list that is shown stays until the next one is read.
 */
import { effect, signal, untracked } from '@preact/signals';
import { SECOND } from '../../clock.ts';
import type { Filters } from '../filters.ts';
import { isGrouped } from '../filters.ts';
import { connection, epoch, listen } from '../live-entries.ts';
import { now } from '../now.ts';
import { IncidentRows } from './incident-rows.ts';
import { WIDE_FROM } from './list-width.ts';
import { activeIds, isSilenced } from './silences.ts';

/** The pause before a list is read again because much has happened. */
const PAUSE = 1 * SECOND;

/** Whether the window is so wide that the list shows evidence. */
const wide = matchMedia(`(min-width: ${WIDE_FROM}px)`);

const rowsUnder = (filters: Filters): IncidentRows => new IncidentRows(filters, undefined, isSilenced, wide.matches);

export class FollowedList {
  readonly filters: Filters;
  readonly shown;
  #next: IncidentRows | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #ends: (() => void)[] = [];

  constructor(filters: Filters) {
    this.filters = filters;
    this.shown = signal(rowsUnder(filters));
  }

  /** Reads and follows it. */
  follow(): void {
    void this.shown.peek().loadMore();
    let seen = epoch.peek();
    let silent: string | undefined;
    this.#ends.push(
      listen((entry) => {
        this.shown.peek().take(entry);
        this.#next?.take(entry);
      }),
      this.#followWidth(),
      connection.subscribe(() => this.#tryAgain()),
      now.subscribe(() => {
        this.#tryAgain();
        // Incidents leave a list of the last hour without an entry.
        this.shown.peek().renew();
      }),
      epoch.subscribe((count) => {
        if (count === seen) return;
        seen = count;
        this.#show(rowsUnder(this.filters));
        void this.shown.peek().loadMore();
      }),
      effect(() => {
        // What is silenced is another set then: only the service knows which.
        const isBySilence = this.filters.attention === true || this.filters.silenced !== undefined;
        const ids = activeIds.value;
        if (isBySilence && silent !== undefined && ids !== silent) untracked(() => this.#readSoon());
        silent = ids;
      }),
      effect(() => {
        const isLate = this.shown.value.isStale.value && isGrouped(this.filters);
        if (isLate) untracked(() => this.#readSoon());
      }),
    );
  }

  /** Reads it again when the window becomes so wide that it shows evidence. @returns what ends that */
  #followWidth(): () => void {
    const look = (): void => {
      if (wide.matches && !isGrouped(this.filters)) void this.reread();
    };
    wide.addEventListener('change', look);
    return () => wide.removeEventListener('change', look);
  }

  /** Reads it again, and shows it once it is read. */
  async reread(): Promise<void> {
    if (this.#next !== undefined) return;
    const next = rowsUnder(this.filters);
    this.#next = next;
    await next.loadMore();
    if (this.#next !== next) return;
    if (next.progress.peek().kind === 'failed') next.close();
    else this.#show(next);
    this.#next = undefined;
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const end of this.#ends.splice(0)) end();
    this.#next?.close();
    this.#next = undefined;
    this.shown.peek().close();
  }

  /** Reads what could not be read, while the stream is live. */
  #tryAgain(): void {
    const list = this.shown.peek();
    if (connection.peek() === 'live' && list.progress.peek().kind === 'failed') void list.loadMore();
  }

  #readSoon(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.reread();
    }, PAUSE);
  }

  #show(list: IncidentRows): void {
    this.shown.peek().close();
    this.shown.value = list;
  }
}
