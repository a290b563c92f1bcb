/** How a command ends: its exit code, and what a person is told to do next. */
import { NotReachable, Refused } from '../client/errors.ts';

/** Exit codes of the command line. */
export const EXIT = { done: 0, refused: 1, usage: 2, notReachable: 3 } as const;

/** The command line was not understood, or cannot be followed as it is. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The exit code for what a command has thrown. */
export const exitCodeOf = (error: unknown): number => {
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof NotReachable ? EXIT.notReachable : EXIT.refused;
};

/** What was wrong and what to do about it. */
export function explain(error: unknown): string {
  const { message, cause } = error as Error;
  if (error instanceof NotReachable) {
    const mayNot = (cause as NodeJS.ErrnoException | undefined)?.code === 'EACCES';
    const advice = mayNot
      ? 'your user may not use that socket; its group may'
      : 'start it, or name it with --url or INCIDENT_RECORDER_URL';
    return `${message}: ${advice}`;
  }
  if (error instanceof Refused && error.status === 403 && error.body.error === 'forbidden')
    return 'refused (403): the token is another; name the file with the right one with --token-file';
  if (error instanceof Refused && error.status === 404 && error.body.error === 'incident not found')
    return 'there is no such incident; incident-recorder list shows those that there are';
  return message;
}
