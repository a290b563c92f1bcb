/**
 * Reading the body of a command: a JSON object in UTF-8, of at most 64 KiB, kept exactly as it was sent or refused.
 *
 * The body parser collects the bytes, holds the limit and refuses what is no JSON. It is made to read the bytes as
 * latin-1, one character each, so that none is replaced on the way: what it parses from them is thrown away, and the
 * same bytes are checked to be UTF-8 and read by `parseExact`.
 *
 * What is made of a body takes up to twenty times its length of memory until it is answered (`{"o":[{},{},…]}`), so only
 * so many bytes of bodies are under way at a time. One that is still being sent does not count: who sends slowly keeps
 * nobody out.
 */
import { isUtf8 } from 'node:buffer';
import bodyParser from 'koa-bodyparser';
import type { Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';
import { ExactJsonError, type JsonValue, parseExact } from '../../json/exact-json.ts';

/** As much as a batch of the log may have: sixteen of the longest bodies, and as many of the usual as may come. */
const MOST_UNDER_WAY = 1024 * 1024;

const OPTIONS = {
  enableTypes: ['json'],
  // The type of the body has been looked at before.
  detectJSON: (): boolean => true,
  encoding: 'binary',
  jsonLimit: '64kb',
  onProtoPoisoning: 'ignore',
  onerror: (cause: Error): never => {
    throw refusal(cause);
  },
};

/**
 * Puts the object that was sent into `ctx.request.body`.
 *
 * Throws RecorderError `too_large`, `overloaded` while the bodies that are under way are too many, and `invalid_request`
 * for what is no JSON object or can't be kept exactly.
 */
export const jsonBody = (): Middleware => {
  // The parser empties its options: it gets some of its own.
  const collect = bodyParser({ ...OPTIONS });
  let underWay = 0;
  return async (ctx, next) => {
    await collect(ctx, nothingMore);
    const text = ctx.request.rawBody as string;
    const { length } = text;
    if (underWay + length > MOST_UNDER_WAY) throw new RecorderError('overloaded', 'too many bodies at once; try again');
    underWay += length;
    try {
      ctx.request.body = readObject(Buffer.from(text, 'latin1'));
      await next();
    } finally {
      underWay -= length;
    }
  };
};

const nothingMore = (): Promise<void> => Promise.resolve();

const readObject = (bytes: Buffer): object => {
  if (bytes.length === 0 || !isUtf8(bytes)) throw invalidJson();
  let value: JsonValue;
  try {
    value = parseExact(bytes.toString('utf8'));
  } catch (cause) {
    if (!(cause instanceof ExactJsonError)) throw cause;
    const message = cause.path === '' ? cause.message : `${cause.path}: ${cause.message}`;
    throw new RecorderError('invalid_request', message, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidJson();
  return value;
};

const refusal = (cause: Error): Error => {
  if (cause instanceof SyntaxError) return invalidJson(cause);
  switch ('type' in cause && cause.type) {
    case 'entity.too.large':
      return new RecorderError('too_large', 'body longer than 64 KiB', { cause });
    case 'request.aborted':
    case 'request.size.invalid':
      return new RecorderError('invalid_request', 'request aborted', { cause });
    default:
      return cause;
  }
};

const invalidJson = (cause?: Error): RecorderError => new RecorderError('invalid_request', 'invalid JSON', { cause });
