import type { IncidentEvent } from '../../../machines/incident.ts';
import type { State } from '../../../machines/vocabulary.ts';

/** Every transition between outer states that the incident's statechart must have, and no other. */
export const EDGES = [
  'open --contain--> contained',
  'open --acknowledge--> acknowledged',
  'open --resolve--> resolved',
  'open --snooze--> acknowledged',
  'open --recur--> open',
  'open --recur--> contained',
  'contained --acknowledge--> acknowledged',
  'contained --resolve--> resolved',
  'contained --snooze--> acknowledged',
  'contained --recur--> contained',
  'acknowledged --contain--> contained',
  'acknowledged --resolve--> resolved',
  'acknowledged --snooze--> acknowledged',
  'acknowledged --recur--> acknowledged',
  'acknowledged --recur--> open',
  'acknowledged --recur--> contained',
  // A person releases one action early.
  'contained --release--> contained',
  'contained --release--> open',
  'acknowledged --release--> acknowledged',
  // What a recovery needs leaves the incident where it is.
  'open --acknowledge_recovery--> open',
  'open --request_attestation--> open',
  'open --attest--> open',
  'open --fail_attestation--> open',
  'open --waive_recovery--> open',
  'contained --acknowledge_recovery--> contained',
  'contained --request_attestation--> contained',
  'contained --attest--> contained',
  'contained --fail_attestation--> contained',
  'contained --waive_recovery--> contained',
  'acknowledged --acknowledge_recovery--> acknowledged',
  'acknowledged --request_attestation--> acknowledged',
  'acknowledged --attest--> acknowledged',
  'acknowledged --fail_attestation--> acknowledged',
  'acknowledged --waive_recovery--> acknowledged',
] as const satisfies readonly `${State} --${IncidentEvent['type']}--> ${State}`[];

/** The transitions that only a snoozed incident has besides. */
export const SNOOZED_EDGES = [
  'acknowledged --wake--> open',
  'acknowledged --wake--> contained',
  'acknowledged --acknowledge--> acknowledged',
] as const satisfies readonly `${State} --${IncidentEvent['type']}--> ${State}`[];
/** The transitions that only an incident takes of which an action was released early. */
export const AFTER_RELEASE = ['contained --contain--> contained'] as const;

/** The state that an event leads to; undefined when the state does not take it. */
export const targetOf = (state: State, event: IncidentEvent['type']): State | undefined =>
  EDGES.find((edge) => edge.startsWith(`${state} --${event}-->`))?.split(' ')[2] as State | undefined;

/** The states that an event leads to from anywhere. */
export const targetsOf = (event: IncidentEvent['type']): readonly string[] =>
  EDGES.filter((edge) => edge.includes(` --${event}--> `)).map((edge) => edge.split(' ')[2]!);
