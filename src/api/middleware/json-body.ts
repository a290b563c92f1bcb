/**
 * Reads the body of a command: a JSON object in UTF-8, of at most `MAX_BODY_BYTES`, kept exactly as it was sent or
 * refused.
 *
 * koa-bodyparser collects the bytes and holds the limit. It reads them as latin-1, one character for each byte, because
 * a UTF-8 decoder would replace invalid bytes silently. The bytes are then checked to be UTF-8 and parsed once, by
 * `parseExact`.
 *
 * A parsed body takes up to twenty times its length in memory until its response is sent (`{"o":[{},{},…]}`), so only so
 * many bytes of bodies are in flight at a time. A body counts from its last byte on: slow senders keep nobody out. What
 * is not yet complete is bounded too: each connection may send a body of usual size, and only a few a large one.
 */
import { isUtf8 } from 'node:buffer';
import bodyParser from 'koa-bodyparser';
import type { Context, Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';
import { FreedBuffers } from '../../freed-buffers.ts';
import { ExactJsonError, type JsonValue, parseExact } from '../../json/exact-json.ts';

/** As many bytes as a batch of the log may have: four of the longest bodies. */
const MAX_IN_FLIGHT = 1024 * 1024;
/** As many of them may be batches: the rest is kept for single reports and commands. One batch is always taken. */
const MAX_IN_BATCHES = 512 * 1024;
/** In bytes. So large a body may arrive on each connection at the same time. */
const USUAL = 64 * 1024;
/** How many larger ones may arrive at the same time, and those that do not say their length: 2 MiB. */
const MAX_LARGE = 8;

/** `encoding`, which the parser documents, is missing in its types. */
const OPTIONS = {
  enableTypes: ['text'],
  // Without this, the text of another type than text/plain is not collected.
  extendTypes: { text: ['application/json'] },
  encoding: 'binary',
};

/** What may begin a JSON object or array, after the white space of RFC 8259, section 2. */
const OPENING = /^[ \t\n\r]*[{[]/;

/** What reads bodies. All of it shares the limits. */
export interface BodyReaders {
  /**
   * Puts the parsed object into `ctx.request.body`. The request must have the type `application/json` (`contentType`).
   * @throws RecorderError `too_large`; `overloaded` while too many bytes are in flight; `invalid_request` for what is no
   *   JSON object or can't be kept exactly
   */
  readonly object: Middleware;
  /**
   * Leaves the body of a batch as it is, for `takeBatch`. Batches take only half of what may be in flight.
   * @throws RecorderError `too_large`, `overloaded`
   */
  readonly batch: Middleware;
}

/** @param maxBytes the longest body */
export const bodyReaders = (maxBytes: number): BodyReaders => {
  const inFlight = { all: 0, batches: 0 };
  const collect = collector(maxBytes, (bytes) => inFlight.all + bytes <= MAX_IN_FLIGHT);
  const reader =
    (isBatch: boolean): Middleware =>
    (ctx, next) => {
      ctx.request.is = ofTextType;
      return collect(ctx, () => {
        let held = bodyBytes(ctx);
        const tooMany = isBatch && inFlight.batches > 0 && inFlight.batches + held > MAX_IN_BATCHES;
        if (tooMany || inFlight.all + held > MAX_IN_FLIGHT) throw new RecorderError('overloaded', TOO_MANY);
        inFlight.all += held;
        if (isBatch) inFlight.batches += held;
        ctx.state.releaseBody = (): void => {
          inFlight.all -= held;
          if (isBatch) inFlight.batches -= held;
          held = 0;
        };
        // No variable here holds the text: a request that waits releases its body.
        if (!isBatch) ctx.request.body = parseObject(utf8Of(textOf(ctx)));
        // To parse a large body takes some ten milliseconds, and to record it as much again: others come in between.
        return held > USUAL ? new Promise(setImmediate).then(next) : next();
      });
    };
  return { object: reader(false), batch: reader(true) };
};

/**
 * The bytes of the body of a batch, which the request does not hold any more then. They still count as in flight.
 */
export const takeBatch = (ctx: Context): Buffer => {
  const bytes = Buffer.from(textOf(ctx), 'latin1');
  ctx.request.body = undefined;
  ctx.request.rawBody = '';
  return bytes;
};

/**
 * Releases the body of a request and its share of what may be in flight; `exchange` does it for every request. One that
 * waits for long does it before it is answered, and whoever calls this keeps nothing of the body either.
 */
export const releaseBody = (ctx: Context): void => {
  ctx.request.body = undefined;
  ctx.request.rawBody = '';
  (ctx.state.releaseBody as (() => void) | undefined)?.();
};

/** koa-bodyparser looks at the type of the body, which `contentType` has checked: it takes as long as the chain's hash. */
const ofTextType = (): string => 'text';

/** A request without a body has no text. */
const textOf = (ctx: Context): string => (ctx.request.rawBody as string | undefined) ?? '';

/** How many bytes the body of a request has, until it is released. */
export const bodyBytes = (ctx: Context): number => textOf(ctx).length;

const TOO_MANY = 'too many bodies at once; try again';

/**
 * Returns a middleware that collects the bytes of a body. It throws like `BodyReaders.object`.
 * @param hasRoom whether a body of so many bytes could be taken now
 */
const collector = (maxBytes: number, hasRoom: (bytes: number) => boolean): Middleware => {
  const tooLarge = (cause: Error) => new RecorderError('too_large', `body longer than ${sizeOf(maxBytes)}`, { cause });
  const usual = upTo(Math.min(USUAL, maxBytes), tooLarge);
  const large = upTo(maxBytes, tooLarge);
  const notNow = upTo(USUAL, (cause) => new RecorderError('overloaded', TOO_MANY, { cause }));
  const freed = new FreedBuffers();
  let arriving = 0;
  const collectLarge: Middleware = async (ctx, next) => {
    arriving++;
    try {
      await large(ctx, nothingMore);
    } finally {
      arriving--;
    }
    await next();
  };
  return (ctx, next) => {
    const { 'content-length': declared, 'transfer-encoding': coding } = ctx.req.headers;
    const isUsual = coding === undefined && Number(declared ?? 0) <= USUAL;
    if (isUsual || maxBytes <= USUAL) return usual(ctx, next);
    freed.count(isNaN(Number(declared)) ? maxBytes : Number(declared));
    // A large body that would be refused when it is there is not collected. One that does not say its length may still
    // be of usual size.
    if (arriving >= MAX_LARGE || !hasRoom(Number(declared ?? 0))) return notNow(ctx, next);
    return collectLarge(ctx, next);
  };
};

const upTo = (bytes: number, tooLarge: (cause: Error) => RecorderError): Middleware =>
  bodyParser({
    ...OPTIONS,
    // The types want text, which the parser reads again for each request.
    textLimit: bytes as unknown as string,
    onerror: (cause: Error): never => {
      throw refusal(cause, tooLarge);
    },
  }) as Middleware;

const sizeOf = (bytes: number): string => (bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} bytes`);

const nothingMore = (): Promise<void> => Promise.resolve();

/** The text of bytes that were read as latin-1. In ASCII both are the same. */
const utf8Of = (characters: string): string => {
  if (Buffer.byteLength(characters) === characters.length) return characters;
  const bytes = Buffer.from(characters, 'latin1');
  if (!isUtf8(bytes)) throw invalidJson();
  return bytes.toString('utf8');
};

const parseObject = (text: string): object => {
  if (!OPENING.test(text)) throw invalidJson();
  let value: JsonValue;
  try {
    value = parseExact(text);
  } catch (cause) {
    throw cause instanceof ExactJsonError ? inexact(cause) : cause;
  }
  return requireObject(value);
};

/** The refusal of a text that can't be kept exactly. */
export const inexact = (cause: ExactJsonError): RecorderError =>
  new RecorderError('invalid_request', cause.path === '' ? cause.message : `${cause.path}: ${cause.message}`, {
    cause,
  });

/** @throws RecorderError `invalid_request` for a value that is no JSON object */
export const requireObject = (value: JsonValue): Readonly<Record<string, JsonValue>> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidJson();
  return value as Readonly<Record<string, JsonValue>>;
};

const refusal = (cause: Error, tooLarge: (cause: Error) => RecorderError): Error => {
  switch ('type' in cause && cause.type) {
    case 'entity.too.large':
      return tooLarge(cause);
    case 'request.aborted':
    case 'request.size.invalid':
      return new RecorderError('invalid_request', 'request aborted', { cause });
    default:
      return cause;
  }
};

export const invalidJson = (): RecorderError => new RecorderError('invalid_request', 'invalid JSON');
