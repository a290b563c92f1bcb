/**
 * Writes the lines of the process log to standard output: many at a time, at most a tenth of a second late, because a
 * write for each line costs as much as making the line. Without lines there is no timer: to wake up ten times a second
 * for nothing took a twentieth of the processor time that a throttled host gives the service.
 *
 * When the reader of standard output is stuck, up to 1 MiB of lines waits and further lines are dropped. Reports are
 * not affected.
 */
import pino, { type Logger } from 'pino';
import { type Clock, systemClock } from './clock.ts';
import { RefusalLog } from './refusal-log.ts';

const STANDARD_OUTPUT = 1;
const WRITE_AT = 4096;
const MOST_WAITING = 1024 * 1024;
/** In milliseconds. */
const WRITE_AFTER = 100;
/** The lowest status of a refusal. */
const REFUSED = 400;

export class ProcessOutput {
  readonly #destination = pino.destination({
    dest: STANDARD_OUTPUT,
    sync: false,
    minLength: WRITE_AT,
    maxLength: MOST_WAITING,
  });
  #timer: NodeJS.Timeout | undefined;

  /** Takes a line. */
  write(line: string): void {
    this.#destination.write(line);
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#destination.flush();
    }, WRITE_AFTER).unref();
  }

  /** Writes the waiting lines before it returns. */
  flushSync(): void {
    this.#destination.flushSync();
  }
}

/**
 * Returns a function that writes the line of a request, like pino's lines of level `info`. Pino itself looks at each
 * field and at most characters, which without a compiler takes a twentieth of the time of a report.
 *
 * Lines of refused requests, and of those whose client has not shown the service token, are limited: nobody can fill the
 * log. A line says how many were left out.
 */
export const requestLines = (
  logger: Logger,
  output: Pick<ProcessOutput, 'write'>,
  clock: Pick<Clock, 'monotonic'> = systemClock,
): ((fields: object, trusted: boolean) => void) => {
  const { info: level } = pino.levels.values;
  const write = (fields: object, msg: string): void =>
    output.write(`${JSON.stringify({ level, time: new Date().toISOString(), ...fields, msg })}\n`);
  const limited = new RefusalLog(clock, (leftOut) => {
    const refused = leftOut.status >= REFUSED;
    write(leftOut, refused ? 'lines of refused requests left out' : 'lines of requests without the token left out');
  });
  return (fields, trusted) => {
    if (!logger.isLevelEnabled('info')) return;
    const status = 'status' in fields ? Number(fields.status) : 0;
    if ((status >= REFUSED || !trusted) && !limited.admits(status)) return;
    write(fields, 'request');
  };
};
