/** A collapsed page: of the incidents of one source of a machine that are alike, the newest stands for all. */
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import type { Incident } from '../../domain/incident.ts';
import { CollapsedPage, withAlike } from '../../query/collapsed-page.ts';

/** How many incidents a page looks at. */
export const LOOKED_AT = 1000;

interface Documented {
  readonly machine: string;
  readonly document: string;
}

/**
 * @param limit how many items the page has at most
 * @returns the items, and the last incident that is on the page, when the page is full before the end
 */
export function collapsed<Row extends Documented>(
  rows: readonly Row[],
  limit: number,
): { readonly documents: readonly Documented[]; readonly last: Row | undefined } {
  const page = new CollapsedPage(limit);
  let last: Row | undefined;
  for (const [at, row] of rows.entries()) {
    const { severity, state, class: ofClass, source, created_at } = JSON.parse(row.document) as Incident;
    const isTaken = page.take({
      number: at,
      rank: SEVERITIES.indexOf(severity),
      state,
      class: ofClass,
      source,
      machine: row.machine,
      created_at: Date.parse(created_at),
      bytes: Buffer.byteLength(row.document),
    });
    if (!isTaken) {
      last = rows[at - 1];
      break;
    }
  }
  const documents = page.groups.map((group) => {
    const { machine, document } = rows[group.number]!;
    return { machine, document: Buffer.from(withAlike(Buffer.from(document), group)).toString() };
  });
  return { documents, last };
}
