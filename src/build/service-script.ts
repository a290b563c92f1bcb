/**
 * The bundled service as a script, with V8's bytecode of an earlier run where possible.
 *
 * Compiling takes a third of a start without JIT. V8 can export its bytecode (`cachedData`), including functions that
 * were compiled at their first call, and accepts it in a process with the same version and flags. But V8 identifies the
 * source by its length only, and does not detect damage. So the file begins with a digest of source and bytecode.
 * Bytecode of another source, or damaged bytecode, is not used; then the start takes longer.
 */
import { isAscii } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

/** The parameters of a CommonJS module that the bundle uses. */
const PARAMETERS = ['require', '__filename', '__dirname'] as const;
const [OPENING, CLOSING] = [`(function (${PARAMETERS.join()}) {\n`, '\n})'];
const DIGEST_BYTES = 32;

export class ServiceScript {
  /** Why the cached data was not used; undefined when it was. */
  readonly passedOver: string | undefined;
  readonly #path: string;
  readonly #script: Script;

  /**
   * @param path of the bundle; throws when it does not exist
   * @param cachePath of the cached data, which may be missing
   */
  constructor(path: string, cachePath: string) {
    this.#path = path;
    const source = readFileSync(path);
    const cached = readCache(cachePath, source);
    this.#script = new Script(textOf(source), {
      filename: path,
      lineOffset: -1,
      ...(Buffer.isBuffer(cached) ? { cachedData: cached } : {}),
    });
    if (!Buffer.isBuffer(cached)) this.passedOver = cached;
    else if (this.#script.cachedDataRejected === true) this.passedOver = 'it was made with another Node or other flags';
    free(source);
    if (Buffer.isBuffer(cached)) free(cached);
  }

  /** Runs the script as a CommonJS module with this `require`. */
  run(requireModule: NodeJS.Require): void {
    const service = this.#script.runInThisContext() as (...values: readonly unknown[]) => void;
    service(requireModule, this.#path, dirname(this.#path));
  }

  /** Writes what V8 has compiled of the script so far. */
  writeCache(cachePath: string): void {
    const data = this.#script.createCachedData();
    writeFileSync(cachePath, Buffer.concat([digestOf(readFileSync(this.#path), data), data]));
  }
}

/** The source as the body of a function. Node keeps a long text of Latin-1 outside of V8's heap, and copies it once. */
function textOf(source: Buffer): string {
  const whole = Buffer.concat([Buffer.from(OPENING), source, Buffer.from(CLOSING)]);
  const text = whole.toString(isAscii(source) ? 'latin1' : 'utf8');
  free(whole);
  return text;
}

/** Frees the memory of a buffer at once: MiB of it would wait until V8 collects. Small ones share theirs with others. */
function free({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}

/** Reads the bytecode of this source. Returns text with the reason when there is none. */
function readCache(path: string, source: Buffer): Buffer | string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return (error as Error).message;
  }
  const data = bytes.subarray(DIGEST_BYTES);
  return digestOf(source, data).equals(bytes.subarray(0, DIGEST_BYTES)) ? data : 'it belongs to another build';
}

const digestOf = (source: Buffer, data: Buffer): Buffer => createHash('sha256').update(source).update(data).digest();
