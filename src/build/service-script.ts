/**
 * The bundled service as a script, compiled from what V8 made of it earlier where that can be had.
 *
 * Compiling takes a third of a start without JIT. V8 can keep its bytecode (`cachedData`), also of functions that were
 * compiled when they were first called, and takes it back in a process of the same version and flags. But it knows the
 * source by its length alone and does not look for damage. So a digest of both stands in front: bytecode that was not
 * made of this source, or is not what was made, is passed over, and the start takes longer.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

/** The parameters that Node gives to a CommonJS module, as far as the bundle uses them. */
const PARAMETERS = ['require', '__filename', '__dirname'] as const;
const DIGEST_BYTES = 32;

export class ServiceScript {
  /** Why the cached data was passed over, if it was. */
  readonly passedOver: string | undefined;
  readonly #path: string;
  readonly #source: Buffer;
  readonly #script: Script;

  /** Throws when there is no bundle at the path. `cachePath` need not be there. */
  constructor(path: string, cachePath: string) {
    this.#path = path;
    this.#source = readFileSync(path);
    const cached = readCache(cachePath, this.#source);
    this.#script = new Script(`(function (${PARAMETERS.join()}) {\n${this.#source.toString()}\n})`, {
      filename: path,
      lineOffset: -1,
      ...(Buffer.isBuffer(cached) ? { cachedData: cached } : {}),
    });
    if (!Buffer.isBuffer(cached)) this.passedOver = cached;
    else if (this.#script.cachedDataRejected === true) this.passedOver = 'it was made with another Node or other flags';
  }

  /** Runs it as a CommonJS module that is given this `require`. */
  run(requireModule: NodeJS.Require): void {
    const service = this.#script.runInThisContext() as (...values: readonly unknown[]) => void;
    service(requireModule, this.#path, dirname(this.#path));
  }

  /** Keeps what V8 has compiled of the script by now. */
  writeCache(cachePath: string): void {
    const data = this.#script.createCachedData();
    writeFileSync(cachePath, Buffer.concat([digestOf(this.#source, data), data]));
  }
}

/** What V8 made of this source, or why there is none. */
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
