/** Reads the query string of the fleet's list and groups: the recorder's parameters, by the recorder's own rules. */
import { linkToNext } from '../../api/incidents/link.ts';
import { readListQuery } from '../../api/incidents/list-query.ts';
import { RecorderError } from '../../errors.ts';
import type { ListQuery } from '../../query/list-query.ts';
import type { FleetPlace, PlaceSeal } from './cursor.ts';
import type { Reading } from './reading.ts';

export type FleetListQuery = Omit<ListQuery, 'after'> & {
  readonly machines: readonly string[] | undefined;
  readonly after?: FleetPlace;
};

/** @throws RecorderError `invalid_request`, `forbidden` like the recorder's list */
export function readFleetListQuery(
  { query, machines, reader }: Reading,
  now: number,
  places: PlaceSeal,
): FleetListQuery {
  const parameters = new URLSearchParams(query);
  const cursors = taken(parameters, 'cursor');
  if (cursors.length > 1) throw new RecorderError('invalid_request', 'cursor may be given only once');
  const read = readListQuery(parameters.toString(), now, reader);
  return {
    ...withoutPlace(read),
    machines,
    ...(cursors[0] !== undefined && { after: places.read(cursors[0], read.sort ?? 'severity') }),
  };
}

function taken(parameters: URLSearchParams, name: string): readonly string[] {
  const values = parameters.getAll(name).filter((value) => value !== '');
  parameters.delete(name);
  return values;
}

/** The `Link` header for the next page. */
export const nextLink = (path: string, query: string, cursor: string): string =>
  linkToNext(path, query, 'cursor', cursor);

/** The recorder's places are not the fleet's. */
function withoutPlace(query: ListQuery): Omit<ListQuery, 'after'> {
  const rest: { -readonly [Name in keyof ListQuery]: ListQuery[Name] } = { ...query };
  delete rest.after;
  return rest;
}
