/** The incident as JSON text, as every endpoint sends it. */
import type { State } from '../../machines/vocabulary.ts';
import { writeExact } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { IncidentRecord } from './incident.ts';

/** An incident ready to be sent. */
export interface IncidentDocument {
  readonly id: string;
  readonly version: number;
  readonly state: State;
  /** The incident as every endpoint gives it. */
  readonly json: string;
}

/** Makes the document of a record. */
export const documentOf = ({ incident }: IncidentRecord): IncidentDocument => ({
  id: incident.id,
  version: incident.version,
  state: incident.state,
  json: writeExact(incident as unknown as JsonValue),
});
