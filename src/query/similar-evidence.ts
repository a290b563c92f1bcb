/** What makes incidents similar: the same values under the same keys of their evidence. Pure. */
import type { JsonObject } from '../domain/entries.ts';
import type { Incident } from '../domain/incident.ts';
import { type EvidenceValue, valuesIn } from '../search/evidence-words.ts';

export interface SimilarIncident {
  /** Its document: JSON text. */
  readonly json: string;
  readonly same: readonly EvidenceValue[];
}

/** How similar an incident is: how many values are the same, how rare they are, and how new it is. */
interface Ranked {
  readonly count: number;
  readonly weight: number;
  readonly number: number;
}

/** The most of the same values first, then rarer ones, then the newest. */
export const bySimilarity = (one: Ranked, other: Ranked): number =>
  other.count - one.count || other.weight - one.weight || other.number - one.number;

/** The values in the evidence of an incident, each once. */
export function evidenceOf({ evidence, latest_report: latest }: Incident): ReadonlyMap<string, EvidenceValue> {
  const values = [evidence, latest?.evidence].flatMap((one: JsonObject | undefined) =>
    one === undefined ? [] : valuesIn(one).values,
  );
  return new Map(values.map((one) => [JSON.stringify([one.path, one.value]), one]));
}
