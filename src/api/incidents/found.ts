import { RecorderError } from '../../errors.ts';

/** The value that a lookup gave. @throws RecorderError `not_found` when the incident is not on record */
export const foundIncident = <Found>(value: Found | undefined): Found => {
  if (value === undefined) throw new RecorderError('not_found', 'incident not found');
  return value;
};
