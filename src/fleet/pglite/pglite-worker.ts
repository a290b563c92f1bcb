/**
 * The thread of PGlite: takes messages of PostgreSQL's protocol and posts the answers. The main thread writes and reads the
 * protocol, so that nothing but PostgreSQL works here.
 */
import { statfsSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { FromThread, ThreadPlace, ToThread, Troubles } from './pglite-thread.ts';
import { makeFolder, START_PARAMETERS, SyncedFolder } from './synced-folder.ts';

const MEBIBYTE = 1024 * 1024;

/** sysexits.h, EX_IOERR and EX_SOFTWARE. */
const EX_IOERR = 74;
const EX_SOFTWARE = 70;

/**
 * A checkpoint after so many bytes of the log of changes. One process that is PostgreSQL alone makes none by itself, so its
 * log would grow without end, and a start after a crash would take as long as all that was ever written.
 */
const CHECKPOINT_AFTER = 256 * MEBIBYTE;
/** A checkpoint that has failed is tried again after this, in milliseconds. */
const CHECKPOINT_AGAIN = 60_000;

/**
 * With less room than this on the disk (bytes), nothing is changed any more: PostgreSQL ends when it can't write its log of
 * changes. It is enough for a batch and a checkpoint.
 */
const LEAST_ROOM = 64 * MEBIBYTE;
/** With this much room, changes are made again. */
const ENOUGH_ROOM = 80 * MEBIBYTE;

/** The status with which PGlite leaves PostgreSQL's loop when a statement fails. */
const STATEMENT_FAILED = 100;

const port = parentPort!;
const { folder, checkpointAfter = CHECKPOINT_AFTER, checkpointAgain = CHECKPOINT_AGAIN } = workerData as ThreadPlace;

function fail(message: string, code: number): never {
  port.postMessage({ failed: message } satisfies FromThread);
  // Ends this thread at once, whatever is on the stack.
  process.exit(code);
}

/** What PostgreSQL has last said that it can't go on with. */
let saidLast = '';

/** The number of ENOSPC in WASI: Emscripten's errors of files have a number alone. */
const NO_SPACE = 51;

function because(error: unknown): string {
  const { message, errno } = error as { readonly message?: string; readonly errno?: number };
  const ofFile = errno === NO_SPACE ? 'no space left on the disk' : `a file can't be written or read (error ${errno})`;
  return `PGlite has failed: ${(saidLast || (message ?? (errno === undefined ? String(error) : ofFile))).trim()}`;
}

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
const ONLY_READ = simpleQuery('SET default_transaction_read_only = on');
const READ_AND_WRITE = simpleQuery('SET default_transaction_read_only = off');

const { pglite, files } = await open();
endWhenPostgresEnds(pglite);
let isStarted = false;
/** Whether PostgreSQL is in a transaction, after its last answer. */
let isInTransaction = false;
let troubles: Troubles = {};
/** When a checkpoint may be tried. */
let nextCheckpoint = 0;

port.on('message', (message: ToThread) => {
  if (message === 'close') {
    void close();
    return;
  }
  // A connection begins. The one before may have ended in the middle of a transaction.
  if (message[0] === 0) {
    if (isStarted) exchange(ROLLBACK);
    isStarted = true;
  }
  if (!isInTransaction && files !== undefined) lookForRoom(files);
  const answer = exchange(message);
  port.postMessage(answer satisfies FromThread, [answer.buffer]);
  if (!isInTransaction && files !== undefined && files.logged > checkpointAfter) checkpoint(files);
});
port.postMessage('ready' satisfies FromThread);

/**
 * Lets PostgreSQL read only, while the disk has too little room for changes. Others may fill it at any moment all the same: then a
 * statement fails, or PostgreSQL ends.
 */
function lookForRoom(of: SyncedFolder): void {
  const isFull = troubles.full !== undefined;
  const least = isFull ? ENOUGH_ROOM : LEAST_ROOM;
  const room = roomOf(of);
  if (room === undefined || room < least === isFull) return;
  if (isFull) {
    exchange(READ_AND_WRITE);
    say({ full: undefined });
    return;
  }
  // It removes what is not needed any more of the log of changes.
  if (of.logged > 0) checkpoint(of);
  if ((roomOf(of) ?? least) >= least) return;
  exchange(ONLY_READ);
  say({
    full: `the disk of the database has less than ${LEAST_ROOM / MEBIBYTE} MiB left: nothing is stored until it has ${ENOUGH_ROOM / MEBIBYTE} MiB`,
  });
}

/** How many bytes the disk has left; undefined where it can't be asked: what is wrong with the folder, PostgreSQL finds. */
function roomOf({ folder: of }: SyncedFolder): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(of);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** A checkpoint that fails leaves the log of changes as it is, so nothing is lost: it grows until one succeeds. */
function checkpoint(of: SyncedFolder): void {
  const now = performance.now();
  if (now < nextCheckpoint) return;
  const fault = errorIn(exchange(CHECKPOINT));
  if (fault === undefined) of.logged = 0;
  else nextCheckpoint = now + checkpointAgain;
  say({ checkpoint: fault });
}

function say(change: { readonly [K in keyof Troubles]: Troubles[K] | undefined }): void {
  const before = JSON.stringify(troubles);
  // Without what is undefined.
  troubles = JSON.parse(JSON.stringify({ ...troubles, ...change })) as Troubles;
  if (JSON.stringify(troubles) !== before) port.postMessage({ troubles } satisfies FromThread);
}

/** The message of the `ErrorResponse` among answers, if there is one. */
function errorIn(answers: Uint8Array<ArrayBuffer>): string | undefined {
  const bytes = Buffer.from(answers.buffer);
  for (let at = 0; at < bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    if (bytes[at] !== 'E'.charCodeAt(0)) continue;
    const fields = bytes.toString('utf8', at + 5, at + 1 + bytes.readUInt32BE(at + 1)).split('\0');
    return fields.find((field) => field.startsWith('M'))?.slice(1) ?? 'unknown';
  }
  return undefined;
}

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
  // The last one is `ReadyForQuery`, with one letter: idle, in a transaction, or in one that has failed.
  isInTransaction = answer.at(-1) !== 'I'.charCodeAt(0);
  return answer;
}

async function close(): Promise<void> {
  await pglite.close();
  port.close();
}
