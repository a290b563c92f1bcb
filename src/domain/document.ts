/** The incident as JSON text, as every endpoint sends it. */
import type { State } from '../../machines/vocabulary.ts';
import { writeExact } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { Incident, IncidentRecord } from './incident.ts';

/** An incident ready to be sent. */
export interface IncidentDocument {
  readonly id: string;
  readonly version: number;
  readonly state: State;
  /** The incident as every endpoint gives it. */
  readonly json: string;
}

/** What a list without evidence leaves out of an incident: what is long, and what only its own page shows. */
export const DETAILS = [
  'hash',
  'evidence',
  'latest_report',
  'note',
  'notes',
  'notes_count',
  'containment_results',
] as const satisfies readonly (keyof Incident)[];

/** A document, of which the first bytes are the incident without its details. */
export interface WrittenDocument {
  readonly document: IncidentDocument;
  /** How long the incident is without its details, in bytes: so many of the document, with `}` for the last. */
  readonly summary: number;
}

/** Makes the document of a record. */
export const documentOf = (record: IncidentRecord): IncidentDocument => writeDocument(record).document;

/** Makes the document of a record, and says where its details begin. */
export const writeDocument = ({ incident }: IncidentRecord): WrittenDocument => {
  const { hash, evidence, latest_report, note, notes, notes_count, containment_results, ...shown } = incident;
  const summary = writeExact(shown as unknown as JsonValue);
  const details = { hash, evidence, latest_report, note, notes, notes_count, containment_results };
  const json = `${summary.slice(0, -1)},${writeExact(details as unknown as JsonValue).slice(1)}`;
  return {
    document: { id: incident.id, version: incident.version, state: incident.state, json },
    summary: Buffer.byteLength(summary),
  };
};
