/**
 * Where the lines of the process log go: standard output, many lines at a time or a tenth of a second later, as a write
 * for each costs as much as making it. While nothing is said nothing is done: to wake up ten times a second for nothing
 * took a twentieth of what a throttled host gives the service.
 *
 * For a reader of standard output that is stuck up to a mebibyte waits; more is dropped, reports are not.
 */
import pino, { type Logger } from 'pino';

const STANDARD_OUTPUT = 1;
const WRITE_AT = 4096;
const MOST_WAITING = 1024 * 1024;
/** In milliseconds. */
const WRITE_AFTER = 100;

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

  /** Writes what waits before anything else is done. */
  flushSync(): void {
    this.#destination.flushSync();
  }
}

/**
 * Writes the line of each request, such as pino writes lines of level `info`. Pino looks at each field, and at each
 * character of most, which without a compiler takes a twentieth of what a report takes.
 */
export const requestLines = (logger: Logger, output: Pick<ProcessOutput, 'write'>): ((fields: object) => void) => {
  const { info: level } = pino.levels.values;
  return (fields) => {
    if (!logger.isLevelEnabled('info')) return;
    output.write(`${JSON.stringify({ level, time: new Date().toISOString(), ...fields, msg: 'request' })}\n`);
  };
};
