/** The pages of a collapsed list: incidents of one source that are alike are one item. Pure. */

/** What stands for the incidents of the same severity, state, class and source in a collapsed list. Times: RFC 3339. */
export interface Alike {
  /** How many more there are on the page. */
  readonly count: number;
  /** When the first and the last of those were created. */
  readonly since: string;
  readonly until: string;
}

/**
 * The most that one page may hold, in bytes, unless a single item is longer: it has to fit in memory, and no other request
 * is answered while it is made. A thousand incidents with little evidence fit.
 */
export const MAX_PAGE_BYTES = 1024 * 1024;
/** The same without evidence: as many incidents as usual with evidence, so that a page takes less time. */
export const MAX_SUMMARY_PAGE_BYTES = MAX_PAGE_BYTES / 2;

/** What a collapsed page looks at of an incident. */
export interface Sized {
  readonly number: number;
  readonly rank: number;
  readonly state: string;
  readonly class: string;
  readonly source: string;
  /** In a list of several machines. */
  readonly machine?: string;
  readonly created_at: number;
  /** How long its document is. */
  readonly bytes: number;
}

/** Incidents that are alike: the newest of them, and the others. */
export interface AlikeGroup {
  readonly number: number;
  count: number;
  first: number;
  last: number;
}

/** A page of a collapsed list while it is filled. */
export class CollapsedPage {
  readonly #limit: number;
  readonly #mostBytes: number;
  readonly #groups = new Map<string, AlikeGroup>();
  #bytes = 0;

  constructor(limit: number, mostBytes = MAX_PAGE_BYTES) {
    this.#limit = limit;
    this.#mostBytes = mostBytes;
  }

  /** In the order of the list. */
  get groups(): readonly AlikeGroup[] {
    return [...this.#groups.values()];
  }

  /** Takes the next incident; false when it belongs on the next page. */
  take({ number, rank, state, class: ofClass, source, machine, created_at: at, bytes }: Sized): boolean {
    const key = JSON.stringify([rank, state, ofClass, source, machine]);
    const group = this.#groups.get(key);
    if (group !== undefined) {
      group.first = group.count === 0 ? at : Math.min(group.first, at);
      group.last = group.count === 0 ? at : Math.max(group.last, at);
      group.count += 1;
      return true;
    }
    const size = this.#groups.size;
    if (size === this.#limit || (size > 0 && this.#bytes + bytes > this.#mostBytes)) return false;
    this.#groups.set(key, { number, count: 0, first: at, last: at });
    this.#bytes += bytes;
    return true;
  }
}

/** The document of an incident with what it stands for as its last member, `alike`. */
export function withAlike(document: Uint8Array, { count, first, last }: AlikeGroup): Uint8Array {
  if (count === 0) return document;
  const alike: Alike = { count, since: new Date(first).toISOString(), until: new Date(last).toISOString() };
  return Buffer.concat([document.subarray(0, -1), Buffer.from(`,"alike":${JSON.stringify(alike)}}`)]);
}
