/**
 * What the command line writes to standard output: lines for people, or JSON for scripts.
 *
 * A command does its work and says what became of it by its exit code, whatever happens to its output. When the reader
 * is gone, or the disk is full, the rest of the output is dropped. A reader that is slow is waited for; one that has
 * taken nothing at all for most of a second is not.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { SECOND } from '../../clock.ts';
import { writeExact } from '../../json/canonical-form.ts';
import type { JsonValue } from '../../json/exact-json.ts';
import { explainFault } from '../../process-output.ts';
import { printable, printableJson } from './printable.ts';

/** Bytes that wait for the reader before a command waits as well. */
const MOST_WAITING = 1024 * 1024;
/** Bytes written at a time, so that it is seen whether the reader takes something. */
const PIECE = 16 * 1024;
/** How long a reader that takes nothing is waited for, in milliseconds. */
const PATIENCE = 0.8 * SECOND;
/** Milliseconds between two looks at what waits. */
const LOOK_EVERY = 20;
/** Stands for a fault when the reader takes nothing. */
const STUCK = 'STUCK';

/** Why the output is dropped: the code of an error, or `STUCK`. */
let fault: string | undefined;
const gone = new AbortController();
/** Aborts when nobody reads the output any more: the error of a write comes after it, maybe while a command waits. */
export const outputGone: AbortSignal = gone.signal;
/** Whether the reader has taken something. */
let isRead = false;

/** Whether nobody reads the output any more, so that a command that does nothing else can end. */
export const isOutputGone = (): boolean => fault !== undefined;

/** Keeps trouble with the output from ending the process. To be called before anything is written. */
export function guardOutput(): void {
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    fault ??= code ?? 'EIO';
    gone.abort();
  });
  process.stderr.on('error', () => {});
}

/** Writes lines that are already printable. Waits while too much waits for the reader. */
export async function writeLines(lines: readonly string[]): Promise<void> {
  if (lines.length === 0 || isOutputGone()) return;
  const bytes = Buffer.from(`${lines.join('\n')}\n`);
  for (let at = 0; at < bytes.length; at += PIECE) {
    process.stdout.write(bytes.subarray(at, at + PIECE), (error) => {
      isRead ||= !error;
    });
    if (process.stdout.writableLength > MOST_WAITING) await untilTaken(MOST_WAITING);
    if (isOutputGone()) return;
  }
}

/** Writes each value as JSON on a line of its own. */
export const writeJson = (...values: readonly unknown[]): Promise<void> =>
  writeLines(values.map((value) => printableJson(writeExact(value as JsonValue))));

/** Writes a message for the user to standard error. */
export const writeNotice = (text: string): void => {
  process.stderr.write(`${text.split('\n').map(printable).join('\n')}\n`);
};

/**
 * Waits until the output is taken, and ends the process with its exit code when it never will be. Says so when the
 * output is not complete, unless its reader has left, as in `incident-recorder list | head`.
 */
export async function finishOutput(): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  // The error of a write comes after it.
  await wait();
  await untilTaken(0, deadline);
  if (fault === STUCK) writeNotice('nobody reads the output: the rest of it is dropped');
  else if (fault !== undefined && fault !== 'EPIPE') writeNotice(`${explainFault(fault)}; the output is not complete`);
  while (process.stderr.writableLength > 0 && performance.now() < deadline) await wait(LOOK_EVERY);
  if (fault === STUCK || process.stderr.writableLength > 0) process.exit();
}

/** Resolves when no more than so many bytes wait, or when it is clear that they will not be taken. */
async function untilTaken(bytes: number, deadline = performance.now() + PATIENCE): Promise<void> {
  while (!isOutputGone() && process.stdout.writableLength > bytes) {
    if (!isRead && performance.now() >= deadline) fault = STUCK;
    else await wait(LOOK_EVERY);
  }
}
