/** The incidents with the same values in their evidence. An older service does not say: then there are none to show. */
import type { Incident } from '../../domain/incident.ts';
import { NO_FILTERS } from '../filters.ts';
import { queryOfIncident } from '../incident-key.ts';
import { LiveResource } from '../live-resource.ts';
import { listOf } from '../route.ts';

export interface SameValue {
  /** Keys with dots between them. */
  readonly path: string;
  readonly value: string | number | boolean | null;
}

export type SimilarIncident = {
  readonly incident: Incident & { readonly machine?: string };
  readonly same: readonly SameValue[];
};

/** How many are asked for. */
const MOST = 20;
/** The service knows no longer value with its path. */
const LONGEST_TERM = 256;

export const similarTo = (id: string): LiveResource<readonly SimilarIncident[]> =>
  new LiveResource(
    () => `/api/v1/incidents/similar?${queryOfIncident(id)}&limit=${MOST}`,
    ({ event }) => event === 'incident.reported',
    10_000,
  );

/** The list of the incidents with this value at this path; undefined where the search can't ask for it. */
export const listOfSame = ({ path, value }: SameValue): string | undefined => {
  const text = String(value);
  if (text === '' || path.length + text.length > LONGEST_TERM || !/^[^\s:="]+$/.test(path)) return undefined;
  const quoted = /^[^\s"\\:=]+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  return listOf({ ...NO_FILTERS, words: `evidence.${path}:${quoted}` });
};
