/** What is wrong with a file that people write by hand, and the error that refuses it. */
import { type ErrorCode, RecorderError } from '../errors.ts';

/** The message says what is wrong and what is allowed. Lines count from 1. */
export interface FileFault {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** How many faults one answer lists: a file has room for thousands, and nobody reads those. */
const MOST_FAULTS = 100;

/**
 * Makes the error that refuses such a file. The faults are in its message and, for programs, in `fields.faults`.
 * @param what begins the message: `containment policy refused`
 */
export const refusalOf =
  (code: ErrorCode, what: string) =>
  (faults: readonly FileFault[], cause?: unknown): RecorderError => {
    const listed = faults.toSorted((one, other) => one.line - other.line).slice(0, MOST_FAULTS);
    const lines = listed.map(({ file, line, message }) => `${file}:${line}: ${message}`);
    if (faults.length > listed.length) lines.push(`and ${faults.length - listed.length} more`);
    return new RecorderError(code, `${what}:\n  ${lines.join('\n  ')}`, { fields: { faults: listed }, cause });
  };
