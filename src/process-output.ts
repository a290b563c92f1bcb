/**
 * Writes the lines of the process log to standard output: many at a time, at most a tenth of a second late, because a
 * write for each line costs as much as making the line. Without lines there is no timer: to wake up ten times a second
 * for nothing took a twentieth of the processor time that a throttled host gives the service.
 *
 * Nothing waits for the reader of standard output. While it is stuck, or its disk is full, up to 1 MiB of lines waits;
 * further lines are lost, and a line says how many when it reads again. A fault is said once on standard error.
 */
import pino, { type Logger } from 'pino';
import { type Clock, systemClock, timestamp } from './clock.ts';
import { RefusalLog } from './refusal-log.ts';
import { StandardStream, type StreamFault } from './standard-stream.ts';

const WRITE_AT = 16 * 1024;
const MOST_WAITING = 1024 * 1024;
/** In milliseconds. */
const WRITE_AFTER = 100;
/** The longest pause between two attempts while nobody reads, in milliseconds. */
const LONGEST_PAUSE = 5000;
/** How long the end of the process waits for the reader, in milliseconds. */
const LAST_WAIT = 500;
/** The lowest status of a refusal. */
const REFUSED = 400;

export class ProcessOutput {
  readonly #stream = new StandardStream(1);
  #lines = '';
  #lost = 0;
  #pause = WRITE_AFTER;
  #timer: NodeJS.Timeout | undefined;
  #said: StreamFault | undefined;

  /** Takes a line. */
  write(line: string): void {
    if (this.#stream.waiting + this.#lines.length > MOST_WAITING) {
      this.#lost++;
      return;
    }
    this.#lines += line;
    // While nobody reads, the timer tries again.
    if (this.#lines.length >= WRITE_AT && this.#stream.waiting === 0) this.flushSync();
    else this.#wake();
  }

  /** Writes the waiting lines as far as there is room. pino calls it after a fatal line. */
  flushSync(): void {
    const lines = this.#lines;
    this.#lines = '';
    const before = this.#stream.written;
    if (this.#stream.write(lines)) this.#resume();
    else this.#retry(this.#stream.written > before);
  }

  /** Writes the waiting lines when the process ends; waits for the reader for half a second at most. */
  end(): void {
    this.#stream.writeWithin(LAST_WAIT, this.#lines);
    this.#lines = '';
  }

  #wake(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.flushSync();
    }, this.#pause).unref();
  }

  #resume(): void {
    this.#pause = WRITE_AFTER;
    this.#said = undefined;
    if (this.#lost === 0) return;
    const time = new Date().toISOString();
    const line = { level: pino.levels.values.warn, time, lost: this.#lost, msg: 'lines of this log were lost' };
    this.#lost = 0;
    this.write(`${JSON.stringify(line)}\n`);
  }

  /** @param isRead whether the reader takes something, if not all */
  #retry(isRead: boolean): void {
    const { fault, waiting } = this.#stream;
    if (fault !== undefined && fault !== 'EAGAIN' && this.#said !== fault) {
      this.#said = fault;
      new StandardStream(2).write(`incident-recorder: ${explainFault(fault)}; lines of the process log are lost\n`);
    }
    this.#pause = isRead ? WRITE_AFTER : Math.min(this.#pause * 2, LONGEST_PAUSE);
    if (waiting > 0) this.#wake();
  }
}

/** What a fault of standard output means, and what to do. */
export function explainFault(fault: StreamFault): string {
  switch (fault) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `standard output can't be written: no space is left where it goes (${fault}); make room there`;
    case 'EPIPE':
      return `nobody reads standard output any more (${fault})`;
    default:
      return `standard output can't be written (${fault})`;
  }
}

/**
 * Returns a function that writes a line of a text alone, like pino's of level `info`, and as cheaply as the line of a
 * request.
 */
export const journalLines = (
  logger: Logger,
  output: Pick<ProcessOutput, 'write'>,
): ((text: string, time: string) => void) => {
  const beginning = `{"level":${pino.levels.values.info},"time":"`;
  return (text, time) => {
    if (logger.isLevelEnabled('info')) output.write(`${beginning}${time}","msg":${JSON.stringify(text)}}\n`);
  };
};

/**
 * Returns a function that writes the line of a request, like pino's lines of level `info`. Pino itself looks at each
 * field and at most characters, which without a compiler takes a twentieth of the time of a report.
 *
 * Lines of refused requests, and of those whose client has not shown the service token, are limited: nobody can fill
 * the log. A line says how many were left out.
 */
export const requestLines = (
  logger: Logger,
  output: Pick<ProcessOutput, 'write'>,
  clock: Pick<Clock, 'monotonic'> = systemClock,
): ((fields: object, trusted: boolean) => void) => {
  const { info: level } = pino.levels.values;
  // No line is without fields.
  const write = (fields: object, msg: string): void =>
    output.write(
      `{"level":${level},"time":"${timestamp(Date.now())}",${JSON.stringify(fields).slice(1, -1)},"msg":"${msg}"}\n`,
    );
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
