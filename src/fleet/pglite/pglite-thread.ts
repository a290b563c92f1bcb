/* oxlint-disable unicorn/require-post-message-target-origin -- a thread's port has no origin */
/**
 * PGlite in a thread of its own, as seen from the main thread: a socket to a server of PostgreSQL. The package `pg` writes and
 * reads the protocol on it, as on any other, while PostgreSQL works beside.
 */
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { RecorderError } from '../../errors.ts';

/** Messages of the protocol, or the wish to end. */
export type ToThread = Uint8Array | 'close';
/** Answers of the protocol; that it has begun; why it ends; or what is wrong now while it goes on. */
export type FromThread = Uint8Array | 'ready' | { readonly failed: string } | { readonly troubles: Troubles };

/** What is wrong with a database that goes on, for people. */
export interface Troubles {
  /** Why nothing can be changed now. */
  readonly full?: string;
  /** Why the last checkpoint has failed. */
  readonly checkpoint?: string;
}

/** What the thread works on. */
export interface ThreadPlace {
  /** `undefined` keeps everything in memory. */
  readonly folder: string | undefined;
  /** A checkpoint after so many bytes of the log of changes. */
  readonly checkpointAfter?: number | undefined;
  /** A checkpoint that has failed is tried again after so many milliseconds. */
  readonly checkpointAgain?: number | undefined;
}

/** The file of the thread; in the build it is beside the other parts of the fleet. */
const THREAD = import.meta.url.endsWith('.ts') ? './pglite-worker.ts' : './fleet/pglite-worker.js';

export class PGliteThread {
  readonly #worker: Worker;
  #socket: PGliteSocket | undefined;
  #isClosing = false;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /**
   * Opens PGlite, and makes the database first where there is none.
   * @param failed is called when PGlite ends unasked: what was acknowledged is on disk, and nothing more can be asked
   * @param troubled is called whenever what is wrong has changed
   */
  static async start(
    place: ThreadPlace,
    failed: (error: RecorderError) => void,
    troubled: (troubles: Troubles) => void,
  ): Promise<PGliteThread> {
    const worker = new Worker(new URL(THREAD, import.meta.url), { workerData: place });
    const thread = new PGliteThread(worker);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let fail = reject as (error: RecorderError) => void;
    let hasFailed = false;
    const end = (message: string, cause?: unknown): void => {
      if (hasFailed || thread.#isClosing) return;
      hasFailed = true;
      fail(new RecorderError('internal', message, { cause }));
    };
    worker.on('message', (message: FromThread) => {
      if (message === 'ready') resolve();
      else if ('failed' in message) end(message.failed);
      else if ('troubles' in message) troubled(message.troubles);
      else thread.#socket?.push(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
    });
    worker.once('error', (error) => end(`PGlite has failed: ${error.message}`, error));
    worker.once('exit', (code) => end(`the thread of PGlite has ended (${code})`));
    await promise;
    fail = failed;
    return thread;
  }

  /** A connection: the only one, or one that takes the place of the one before. */
  connect(): PGliteSocket {
    this.#socket = new PGliteSocket((bytes) => this.#worker.postMessage(bytes, [bytes.buffer]));
    return this.#socket;
  }

  /** Ends PostgreSQL as it should, with a checkpoint. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const ended = once(this.#worker, 'exit');
    this.#worker.postMessage('close' satisfies ToThread);
    await ended;
  }
}

/** StartupMessage of protocol 3.0: what the environment says of servers is nothing to PGlite. */
const STARTUP = (() => {
  const settings = Buffer.from('user\0postgres\0database\0postgres\0client_encoding\0UTF8\0\0');
  const head = Buffer.alloc(8);
  head.writeUInt32BE(head.length + settings.length);
  head.writeUInt32BE(0x0003_0000, 4);
  return Buffer.concat([head, settings]);
})();

/** `Terminate`: PostgreSQL ends with its thread, not with a connection. */
const TERMINATE = 'X'.charCodeAt(0);

/** As much of a `net.Socket` as `pg` uses. */
export class PGliteSocket extends Duplex {
  readonly #post: (bytes: Uint8Array<ArrayBuffer>) => void;
  #isStarted = false;

  constructor(post: (bytes: Uint8Array<ArrayBuffer>) => void) {
    super();
    this.#post = post;
  }

  connect(): this {
    process.nextTick(() => this.emit('connect'));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#send([chunk]);
    done();
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    this.#send(chunks.map(({ chunk }) => chunk));
    done();
  }

  override _final(done: () => void): void {
    this.push(null);
    done();
  }

  #send(chunks: readonly Buffer[]): void {
    const messages = chunks.filter(({ 0: type }) => type !== TERMINATE);
    if (messages.length === 0) return;
    const isStartup = !this.#isStarted;
    this.#isStarted = true;
    // A copy of its own, which the thread gets.
    this.#post(new Uint8Array(Buffer.concat(isStartup ? [STARTUP] : messages)));
  }
}
