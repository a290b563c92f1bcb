import { timeOfIncident } from '../domain/incident-time.ts';
import { RecorderError } from '../errors.ts';
import type { ArchivedIncidents } from './archived-incidents.ts';

/**
 * Why an incident is not on record: `gone` when its identifier is from a time of which entries were archived, else
 * `not_found`.
 */
export function absenceOf(id: string, archive: Pick<ArchivedIncidents, 'rangeOf'>): RecorderError {
  const time = timeOfIncident(id);
  const range = time && archive.rangeOf(time);
  if (range === undefined) return new RecorderError('not_found', 'incident not found');
  const { first, last } = range;
  const message = `${id} is not on record: if it existed, it is in the archive, entries ${first} to ${last}`;
  return new RecorderError('gone', message, { fields: { archived: { first_seq: first, last_seq: last } } });
}
