/** Outputs for processes under test that nobody reads: a full pipe, one whose reader is gone, a full disk. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export interface DeadReader {
  /** The descriptor to give to a process. */
  readonly fd: number;
  /** Reads a pipe after all: what is in it now. Throws after `close`. */
  readonly read?: () => string;
  readonly close: () => void;
}

function namedPipe(directory: string): string {
  const path = join(directory, `pipe-${Math.random().toString(36).slice(2)}`);
  execFileSync('mkfifo', [path]);
  return path;
}

function fill(pipe: number): void {
  try {
    for (;;) writeSync(pipe, 'x'.repeat(4096));
  } catch {
    // It is full.
  }
}

/** A pipe that is full, or nearly empty, and whose reader reads nothing. */
function unreadPipe(directory: string, isFull: boolean): DeadReader {
  const path = namedPipe(directory);
  const both = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY);
  if (isFull) fill(both);
  let isClosed = false;
  const read = (): string => {
    // A test that was timed out may still be in its loop, and by then the descriptor is that of another file.
    if (isClosed) throw new Error('the pipe is closed');
    const bytes = Buffer.alloc(64 * 1024);
    try {
      return bytes.toString('utf8', 0, readSync(both, bytes));
    } catch {
      // It is empty.
      return '';
    }
  };
  return {
    fd,
    read,
    close: () => {
      isClosed = true;
      closeSync(fd);
      closeSync(both);
    },
  };
}

/** A pipe whose reader has gone. */
function leftPipe(directory: string): DeadReader {
  const path = namedPipe(directory);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY);
  closeSync(reader);
  return { fd, close: () => closeSync(fd) };
}

/** A file on a disk that is full. */
function fullDisk(): DeadReader {
  const fd = openSync('/dev/full', constants.O_WRONLY);
  return { fd, close: () => closeSync(fd) };
}

export const DEAD_READERS: Readonly<Record<string, (directory: string) => DeadReader>> = {
  'a full pipe that nobody reads': (directory) => unreadPipe(directory, true),
  'a pipe that nobody reads': (directory) => unreadPipe(directory, false),
  'a pipe whose reader has gone': leftPipe,
  'a full disk': fullDisk,
};
