/** Reads the bodies that machines send: bounded as they come, and as they unpack. */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, constants, gunzip, inflate, zstdDecompress } from 'node:zlib';
import { RecorderError } from '../errors.ts';
import { digestOf } from '../signed-request.ts';

/** Unpacks a body. @throws an error with the code `ERR_BUFFER_TOO_LARGE` for more than `maxOutputLength` bytes */
type Unpack = (
  body: Buffer,
  bounds: { readonly maxOutputLength: number; readonly chunkSize: number },
) => Promise<Buffer>;

const [gunzipped, inflated, unbrotlied, unzstd] = [
  promisify(gunzip),
  promisify(inflate),
  promisify(brotliDecompress),
  promisify(zstdDecompress),
];

const GZIP: Unpack = (body, bounds) => gunzipped(body, bounds);
/** A sender may ask for a window of gigabytes: no more than 8 MiB, which RFC 9659 allows. */
const WINDOW = { [constants.ZSTD_d_windowLogMax]: 23 };

/** By `Content-Encoding`, which has no case (RFC 9110, section 8.4.1). */
const ENCODINGS: ReadonlyMap<string, Unpack> = new Map<string, Unpack>([
  ['gzip', GZIP],
  ['x-gzip', GZIP],
  ['deflate', (body, bounds) => inflated(body, bounds)],
  ['br', (body, bounds) => unbrotlied(body, bounds)],
  ['zstd', (body, bounds) => unzstd(body, { ...bounds, params: WINDOW })],
  ['identity', (body) => Promise.resolve(body)],
]);

/** Logs are mostly packed to an eighth or more: one piece is enough then, and each is a turn of another thread. */
const UNPACKED_TIMES = 12;
const SMALLEST_CHUNK = 16 * 1024;

/**
 * Reads a body.
 * @param most bytes, packed and unpacked
 * @param digest that of the body as it comes, where the machine has signed one
 * @throws RecorderError `forbidden` for a body of another digest, `too_large`, `unsupported_media_type` for another encoding, `invalid_request` for a broken one
 */
export async function readBody(request: IncomingMessage, most: number, digest?: string): Promise<Buffer> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const unpack = ENCODINGS.get(encoding);
  if (unpack === undefined)
    throw new RecorderError('unsupported_media_type', 'Content-Encoding must be gzip, zstd, br, deflate or identity');
  if (Number(request.headers['content-length'] ?? 0) > most) throw tooLarge(most);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > most) throw tooLarge(most);
    chunks.push(chunk);
  }
  if (!request.complete) throw new RecorderError('invalid_request', 'the body is cut');
  const body = Buffer.concat(chunks, length);
  if (digest !== undefined && digestOf(body) !== digest)
    throw new RecorderError('forbidden', 'forbidden: this is not the body that the machine has signed');
  if (body.length === 0) return body;
  try {
    const chunkSize = Math.min(most, Math.max(SMALLEST_CHUNK, UNPACKED_TIMES * body.length));
    return await unpack(body, { maxOutputLength: most, chunkSize });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(most);
    throw new RecorderError('invalid_request', `the body is not ${encoding}`);
  }
}

const tooLarge = (most: number): RecorderError =>
  new RecorderError('too_large', `at most ${most} bytes, packed and unpacked`);

/**
 * Reads a body of JSON.
 * @throws RecorderError `invalid_request` when it is no object of JSON; like `readBody`
 */
export async function readJson(
  request: IncomingMessage,
  most: number,
  digest?: string,
): Promise<Readonly<Record<string, unknown>>> {
  const text = (await readBody(request, most, digest)).toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new RecorderError('invalid_request', 'the body must be an object of JSON');
}
