/** A collapsed page: of the incidents of one source of a machine that are alike, the newest stands for all. */
import { type AlikeGroup, CollapsedPage } from '../../query/collapsed-page.ts';
import { type ListedIncident, PAGE_BYTES } from './incident-list.ts';

/** How many incidents a page looks at. */
export const LOOKED_AT = 1000;

/** An item of a collapsed page: an incident, and what it stands for. */
export type CollapsedIncident = ListedIncident & { readonly group: AlikeGroup };

/**
 * @param limit how many items the page has at most
 * @returns the items, and the last incident that is on the page, when the page is full before the end
 */
export function collapsed(
  rows: readonly ListedIncident[],
  limit: number,
): { readonly incidents: readonly CollapsedIncident[]; readonly last: ListedIncident | undefined } {
  const page = new CollapsedPage(limit, PAGE_BYTES);
  let last: ListedIncident | undefined;
  for (const [at, row] of rows.entries()) {
    const { rank, state, class: ofClass, source, machine, created_at: created, bytes } = row;
    const sized = { number: at, rank, state, class: ofClass, source, machine, created_at: created.getTime(), bytes };
    if (!page.take(sized)) {
      last = rows[at - 1];
      break;
    }
  }
  return { incidents: page.groups.map((group) => ({ ...rows[group.number]!, group })), last };
}
