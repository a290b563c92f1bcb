/** Reads the bodies that machines send: bounded as they come, and as they unpack. */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { RecorderError } from '../errors.ts';
import { digestOf } from '../signed-request.ts';

const unpack = promisify(gunzip);

/**
 * Reads a body.
 * @param most bytes, packed and unpacked
 * @param digest that of the body as it comes, where the machine has signed one
 * @throws RecorderError `forbidden` for a body of another digest, `too_large`, `unsupported_media_type` for another encoding, `invalid_request` for a broken one
 */
export async function readBody(request: IncomingMessage, most: number, digest?: string): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'gzip' && encoding !== 'identity')
    throw new RecorderError('unsupported_media_type', 'Content-Encoding must be gzip or identity');
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
  if (encoding === 'identity' || body.length === 0) return body;
  try {
    return await unpack(body, { maxOutputLength: most });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(most);
    throw new RecorderError('invalid_request', 'the body is not gzip');
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
