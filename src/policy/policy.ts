/** The containment policy as the service uses it, and the error that refuses one. */
import type { IncidentClass, Rule } from '../../machines/vocabulary.ts';
import { RecorderError } from '../errors.ts';
import type { Targets, Webhook } from './targets.ts';

/** One rule for each of the nine classes. */
export type Rules = Readonly<Record<IncidentClass, Rule>>;

/** What a policy file decides, completed from the built-in table. */
export interface PolicyContent {
  readonly version: 1;
  readonly rules: Rules;
  /** Where containment actions are sent. An action without a target is fetched from the posture by its service. */
  readonly targets: Targets;
  readonly notify: readonly Webhook[];
}

export interface Policy extends PolicyContent {
  readonly source: 'file' | 'built-in';
  /** The file that the policy was read from; undefined for the built-in one. */
  readonly path: string | undefined;
  /** Identifies what the policy decides: see `digestPolicy`. */
  readonly digest: string;
  /** RFC 3339 in UTC with milliseconds. */
  readonly loaded_at: string;
}

/** One fault of a policy file. The message says what is wrong and what is allowed. Lines count from 1. */
export interface PolicyFault {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** How many faults one answer lists: a file has room for thousands, and nobody reads those. */
const MOST_FAULTS = 100;

/** The error that refuses a policy. The faults are in its message and, for programs, in `fields.faults`. */
export const refusedPolicy = (faults: readonly PolicyFault[], cause?: unknown): RecorderError => {
  const listed = faults.toSorted((one, other) => one.line - other.line).slice(0, MOST_FAULTS);
  const lines = listed.map(({ file, line, message }) => `${file}:${line}: ${message}`);
  if (faults.length > listed.length) lines.push(`and ${faults.length - listed.length} more`);
  return new RecorderError('invalid_policy', `containment policy refused:\n  ${lines.join('\n  ')}`, {
    fields: { faults: listed },
    cause,
  });
};
