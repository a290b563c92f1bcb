/**
 * The containment policy as the service uses it, and what is said of one that is refused.
 */
import type { IncidentClass, Rule } from '../../machines/vocabulary.ts';
import { RecorderError } from '../errors.ts';
import type { Targets, Webhook } from './targets.ts';

/** One rule for each of the nine classes. */
export type Rules = Readonly<Record<IncidentClass, Rule>>;

/** What a policy file decides, completed from the built-in table. */
export interface PolicyContent {
  readonly version: 1;
  readonly rules: Rules;
  /** Where containment actions are sent; one without a target is fetched from the posture. */
  readonly targets: Targets;
  readonly notify: readonly Webhook[];
}

export interface Policy extends PolicyContent {
  readonly source: 'file' | 'built-in';
  /** The file that the policy was read from; undefined for the built-in one. */
  readonly path: string | undefined;
  /** Names what is in force: see `digestPolicy`. */
  readonly digest: string;
  /** RFC 3339 in UTC with milliseconds. */
  readonly loaded_at: string;
}

/** One thing wrong with a policy file. The message says what it is and what is allowed; lines count from 1. */
export interface PolicyFault {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** What one answer lists at most: a file has room for thousands of faults, and nobody reads those. */
const MOST_FAULTS = 100;

/** The error that refuses a policy, with every fault in its message and, for programs, in `fields.faults`. */
export const refusedPolicy = (faults: readonly PolicyFault[], cause?: unknown): RecorderError => {
  const listed = faults.toSorted((one, other) => one.line - other.line).slice(0, MOST_FAULTS);
  const lines = listed.map(({ file, line, message }) => `${file}:${line}: ${message}`);
  if (faults.length > listed.length) lines.push(`and ${faults.length - listed.length} more`);
  return new RecorderError('invalid_policy', `containment policy refused:\n  ${lines.join('\n  ')}`, {
    fields: { faults: listed },
    cause,
  });
};
