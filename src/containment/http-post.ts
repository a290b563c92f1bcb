/**
 * One POST with a JSON body, over TCP, TLS or a unix socket, by node:http: the hardened host has no `fetch`.
 *
 * Each request has a connection of its own, and it must be answered whole within the time that it is given. Of the answer
 * only the beginning is kept.
 */
import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type RequestOptions,
} from 'node:http';
import { constants, readFileSync } from 'node:fs';
import type { RequestOptions as SecureRequestOptions } from 'node:https';
import { isSecure, type TargetUrl } from '../policy/target-url.ts';
import { excerptOf } from './excerpt.ts';

/** As much of an answer's body as is read, in bytes; what is longer is as good as an answer that ends here. */
const LONGEST_ANSWER = 16 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The first 200 characters. */
  readonly body: string;
  /** Whether the body is a JSON object that says `success: false`. */
  readonly denies: boolean;
}

export interface HttpRequest {
  readonly url: TargetUrl;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The certificates that an https service is checked against; by default the system's. */
  readonly caPath?: string | undefined;
  /** In milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

/**
 * Sends it.
 * @throws Error that says in a few words why there was no whole answer; an AbortError when `signal` has aborted
 */
export async function post({ url, headers, body, caPath, timeout, signal }: HttpRequest): Promise<HttpAnswer> {
  const options: SecureRequestOptions = {
    ...addressOf(url),
    ...(isSecure(url) && { ca: authorities(caPath) }),
    path: url.path,
    method: 'POST',
    agent: false,
    headers: {
      host: url.kind === 'unix' ? 'localhost' : hostHeader(url),
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
      ...headers,
    },
    signal,
  };
  const outgoing = isSecure(url) ? requestSecurely(options) : request(options);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    outgoing.destroy();
  }, timeout);
  try {
    outgoing.end(body);
    return await answerTo(outgoing);
  } catch (error) {
    throw late ? new Error(`no answer within ${timeout} ms`, { cause: error }) : error;
  } finally {
    clearTimeout(timer);
    outgoing.destroy();
  }
}

const addressOf = (url: TargetUrl): RequestOptions =>
  url.kind === 'unix'
    ? { socketPath: url.socket }
    : {
        host: url.host,
        port: url.port,
        // The name needs no resolver, which the hardened host does not let us ask. A service may listen on either address.
        ...(url.host === 'localhost' && { lookup: lookUpLocalhost, autoSelectFamily: true }),
      };

const lookUpLocalhost: NonNullable<RequestOptions['lookup']> = (_name, { all }, found) => {
  const [first, ...others] = LOCALHOST;
  if (all === true) found(null, [first, ...others]);
  else found(null, first.address, first.family);
};

const LOCALHOST = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
] as const;

/** Loaded when the first https request is made: few services need it. */
const requestSecurely = (options: SecureRequestOptions): ClientRequest =>
  process.getBuiltinModule('node:https').request(options);

/** The certificates of a file, read for each attempt, or those of the system. @throws Error that names the key only */
function authorities(path: string | undefined): string | string[] {
  if (path === undefined) return process.getBuiltinModule('node:tls').getCACertificates('system');
  try {
    return readFileSync(path, { encoding: 'utf8', flag: constants.O_RDONLY | constants.O_NONBLOCK });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`the file of ca_path can't be read (${code})`, { cause: error });
  }
}

const hostHeader = ({ host, port }: Extract<TargetUrl, { kind: 'tcp' }>): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

function answerTo(outgoing: ClientRequest): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    let answered = false;
    outgoing.on('error', reject).on('response', (incoming) => {
      answered = true;
      const { statusCode = 0, headers } = incoming;
      readBeginning(incoming).then(
        (text) => resolve({ status: statusCode, headers, body: excerptOf(text), denies: saysNoSuccess(text) }),
        reject,
      );
    });
    outgoing.on('close', () => {
      if (!answered) reject(new Error('the connection was closed without an answer'));
    });
  });
}

async function readBeginning(incoming: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    if (length >= LONGEST_ANSWER) break;
  }
  return Buffer.concat(parts).toString();
}

/** A denial at the beginning of a text that is not whole JSON, such as an answer that is longer than what is read of it. */
const DENIAL = /^\s*\{\s*"success"\s*:\s*false\s*[,}]/;

function saysNoSuccess(text: string): boolean {
  const json = text.replace(/^\uFEFF/, '');
  if (!/^\s*\{/.test(json)) return false;
  try {
    return (JSON.parse(json) as { readonly success?: unknown }).success === false;
  } catch {
    return DENIAL.test(json);
  }
}
