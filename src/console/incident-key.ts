/**
 * What identifies an incident on the page. At a recorder that is its identifier. At the fleet two machines may have the
 * same identifier, as when one was made from an image of the other, so there the machine belongs to it: `INC-…@berlin-1`.
 */
import { isFleet } from './service.ts';

export interface IncidentName {
  readonly id: string;
  /** Undefined at a recorder, and where only the fleet knows the machine. */
  readonly machine?: string;
}

/** @param machine as the fleet says it with an incident; a recorder does not */
export const keyOfIncident = (id: string, machine: string | undefined): string =>
  machine === undefined ? id : `${id}@${machine}`;

/** Reads a key. No name of a machine holds an `@`. */
export const nameOfIncident = (key: string, ofFleet = isFleet): IncidentName => {
  const at = ofFleet ? key.lastIndexOf('@') : -1;
  return at === -1 ? { id: key } : { id: key.slice(0, at), machine: key.slice(at + 1) };
};

/** The identifier alone: what people and logs call it. */
export const idOf = (key: string): string => nameOfIncident(key).id;

/** The parameters of a request about an incident. */
export const queryOfIncident = (key: string): string => {
  const { id, machine } = nameOfIncident(key);
  return `id=${encodeURIComponent(id)}${machine === undefined ? '' : `&machine=${encodeURIComponent(machine)}`}`;
};
