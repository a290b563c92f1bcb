/**
 * The thread of PGlite: takes messages of PostgreSQL's protocol and posts the answers. The main thread writes and reads the
 * protocol, so that nothing but PostgreSQL works here.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { FromThread, ToThread } from './pglite-thread.ts';
import { makeFolder, START_PARAMETERS, SyncedFolder } from './synced-folder.ts';

/** sysexits.h, EX_IOERR and EX_SOFTWARE. */
const EX_IOERR = 74;
const EX_SOFTWARE = 70;

/**
 * A checkpoint after so many bytes of the log of changes. One process that is PostgreSQL alone makes none by itself, so its
 * log would grow without end, and a start after a crash would take as long as all that was ever written.
 */
const CHECKPOINT_AFTER = 256 * 1024 * 1024;

/** The status with which PGlite leaves PostgreSQL's loop when a statement fails. */
const STATEMENT_FAILED = 100;

const port = parentPort!;
const folder = workerData as string | undefined;

function fail(message: string, code: number): never {
  port.postMessage({ failed: message } satisfies FromThread);
  // Ends this thread at once, whatever is on the stack.
  process.exit(code);
}

/** What PostgreSQL has last said that it can't go on with. */
let saidLast = '';

const because = (error: unknown): string =>
  `PGlite has failed: ${saidLast || ((error as Error).message ?? String(error))}`;

async function open(): Promise<{ readonly pglite: PGlite; readonly files: SyncedFolder | undefined }> {
  if (folder === undefined) return { pglite: await PGlite.create(), files: undefined };
  try {
    await makeFolder(folder);
    const files = new SyncedFolder(folder, (error) =>
      fail(`the files of PGlite could not be synced (${error.code})`, EX_IOERR),
    );
    const pglite = await PGlite.create({
      dataDir: folder,
      fs: files,
      startParams: [...START_PARAMETERS],
      onStderr: (text) => {
        if (/\b(?:FATAL|PANIC):/.test(text)) saidLast = text;
        return false;
      },
    });
    return { pglite, files };
  } catch (error) {
    return fail(because(error), EX_SOFTWARE);
  }
}

/** PGlite goes on after every exception; one that is no failed statement has left PostgreSQL in the middle of anything. */
function endWhenPostgresEnds(pglite: PGlite): void {
  const { Module } = pglite;
  const loop = Module._PostgresMainLoopOnce;
  Module._PostgresMainLoopOnce = () => {
    try {
      loop();
    } catch (error) {
      if ((error as { readonly status?: number }).status === STATEMENT_FAILED) throw error;
      fail(because(error), EX_SOFTWARE);
    }
  };
}

/** A message with one statement and no parameters. */
function simpleQuery(text: string): Uint8Array {
  const message = Buffer.alloc(text.length + 6);
  message.write(`Q\0\0\0\0${text}\0`, 'latin1');
  message.writeUInt32BE(text.length + 5, 1);
  return message;
}

const CHECKPOINT = simpleQuery('CHECKPOINT');
const ROLLBACK = simpleQuery('ROLLBACK');

const { pglite, files } = await open();
endWhenPostgresEnds(pglite);
let isStarted = false;

port.on('message', (message: ToThread) => {
  if (message === 'close') {
    void close();
    return;
  }
  // A connection begins. The one before may have ended in the middle of a transaction.
  if (message[0] === 0) {
    if (isStarted) void exchange(ROLLBACK);
    isStarted = true;
  }
  const answer = exchange(message);
  port.postMessage(answer satisfies FromThread, [answer.buffer]);
  if (files !== undefined && files.logged > CHECKPOINT_AFTER && !pglite.isInTransaction()) {
    exchange(CHECKPOINT);
    files.logged = 0;
  }
});
port.postMessage('ready' satisfies FromThread);

/** Gives PostgreSQL messages of the protocol. @returns its answers */
function exchange(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  // All of it happens at once: the promise says nothing more.
  void pglite.execProtocolRawStream(message, { syncToFs: false, onRawData: (part) => void parts.push(part.slice()) });
  const answer = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    answer.set(part, at);
    at += part.length;
  }
  return answer;
}

async function close(): Promise<void> {
  await pglite.close();
  port.close();
}
