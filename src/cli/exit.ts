/** How a subcommand ends: its exit code, and advice for the user. */
import { Impostor, NotReachable, Refused } from '../client/errors.ts';

/** Exit codes of the command line. */
export const EXIT = { done: 0, refused: 1, usage: 2, notReachable: 3 } as const;

/** The command line is wrong, or not possible here. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The exit code for an error. */
export const exitCodeOf = (error: unknown): number => {
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof NotReachable ? EXIT.notReachable : EXIT.refused;
};

/** Whether nobody has the token: then every request is refused. A role may be missing for one of them only. */
export const isOfToken = ({ status, body }: Refused): boolean => status === 403 && body.error === 'forbidden';

/** What was wrong, and what to do about it. */
export function explain(error: unknown): string {
  const { message, cause } = error as Error;
  if (error instanceof Impostor) {
    const advice =
      'it got no token; if it is the recorder, name the file of its token with --token-file; through a tunnel, to one that ' +
      'is too old to prove itself, or to a fleet without TLS, use --no-prove';
    return `${message}: ${advice}`;
  }
  if (error instanceof NotReachable) {
    const mayNot = (cause as NodeJS.ErrnoException | undefined)?.code === 'EACCES';
    const advice = mayNot
      ? 'your user may not use that socket; its group may'
      : 'start it, or name it with --url or INCIDENT_RECORDER_URL';
    return `${message}: ${advice}`;
  }
  // The fleet has the command; what the machine says is not known yet.
  if (error instanceof Refused && error.status === 202) return String(error.body.error);
  if (error instanceof Refused && error.status === 403) return adviceOnToken(error);
  if (error instanceof Refused && error.status === 404 && error.body.error === 'incident not found')
    return 'there is no such incident; incident-recorder list shows them all';
  if (error instanceof Refused && error.status === 410 && error.body.archived !== undefined)
    return String(error.body.error);
  return message;
}

/** A token that nobody has, or one whose roles do not allow it. */
function adviceOnToken({ message, body: { error, needs } }: Refused): string {
  if (error === 'forbidden')
    return 'refused (403): this is not the token of the service; name the right file with --token-file';
  const isOfRole = Array.isArray(needs) && String(error).includes('needs the role');
  return isOfRole ? `${message}; give a token with that role with --token-file` : message;
}
