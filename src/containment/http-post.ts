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
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import type { RequestOptions as SecureRequestOptions } from 'node:https';
import { connect, isIP, type NetConnectOpts, type Socket } from 'node:net';
import { challenge } from '../challenge.ts';
import { isSecure, type TargetUrl } from '../policy/target-url.ts';
import { proofKeyOf } from '../proof.ts';
import { excerptOf } from './excerpt.ts';

type Tcp = Extract<TargetUrl, { kind: 'tcp' }>;

/** As much of an answer's body as is read, in bytes; what is longer is as good as an answer that ends here. */
const LONGEST_ANSWER = 16 * 1024;

/** In bytes. The authorities of a whole system take a quarter of it. */
const LARGEST_AUTHORITIES = 1024 * 1024;

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
  /** A token that what answers over TCP must prove to know, before anything is sent there. */
  readonly provenBy?: string | undefined;
  /** In milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

/**
 * Sends it.
 * @throws Error that says in a few words why there was no whole answer, `impostor: …` when what answers could not prove
 *   itself; an AbortError when `signal` has aborted
 */
export async function post(asked: HttpRequest): Promise<HttpAnswer> {
  const { url, headers, body, caPath, provenBy, timeout, signal } = asked;
  // An environment that turns the check off for the whole process must not give the token to whoever answers.
  const tls = isSecure(url) && { ca: authorities(caPath), rejectUnauthorized: true };
  const address = { ...addressOf(url), ...tls };
  const common = {
    path: url.path,
    method: 'POST',
    headers: {
      host: url.kind === 'unix' ? 'localhost' : hostHeader(url),
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
      ...headers,
    },
    signal,
  };
  let connection: Socket | undefined;
  let outgoing: ClientRequest | undefined;
  let late = false;
  const end = (): void => {
    connection?.destroy();
    outgoing?.destroy();
  };
  const timer = setTimeout(() => {
    late = true;
    end();
  }, timeout);
  signal.addEventListener('abort', end, { once: true });
  try {
    if (provenBy === undefined || url.kind === 'unix') {
      const options = { ...common, ...address, agent: false };
      outgoing = isSecure(url) ? requestSecurely(options) : request(options);
    } else {
      connection = isSecure(url) ? connectSecurely(url, address) : connect(address as NetConnectOpts);
      // Its users listen for errors too. Between two users nobody does, and an error would end the process.
      connection.on('error', () => {});
      await requireProof(connection, provenBy);
      const proved = connection;
      outgoing = request({ ...common, createConnection: () => proved });
    }
    outgoing.end(body);
    return await answerTo(outgoing);
  } catch (error) {
    throw late ? new Error(`no answer within ${timeout} ms`, { cause: error }) : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    end();
  }
}

/** @throws Error that begins with `impostor` when what answers has not proved that it knows the token */
async function requireProof(connection: Socket, token: string): Promise<void> {
  const fault = await challenge(connection, proofKeyOf(token), undefined);
  if (fault === undefined) return;
  throw new Error(`impostor: what answers there has not proved that it knows the token (${fault})`);
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

/** A connection with TLS, as node:https opens one. */
const connectSecurely = ({ host }: Tcp, address: object): Socket =>
  process.getBuiltinModule('node:tls').connect({
    ...address,
    ...(isIP(host) === 0 && { servername: host }),
    ALPNProtocols: ['http/1.1'],
  });

/** The certificates of a file, read for each attempt, or those of the system. @throws Error that names the key only */
function authorities(path: string | undefined): string | string[] {
  if (path === undefined) return process.getBuiltinModule('node:tls').getCACertificates('system');
  let file: number | undefined;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = fstatSync(file);
    if (!status.isFile() || status.size > LARGEST_AUTHORITIES) {
      throw new Error('the file of ca_path is no regular file, or too large');
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new Error(`the file of ca_path can't be read (${code})`, { cause: error });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

const hostHeader = ({ host, port }: Tcp): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

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

/**
 * A denial at the beginning of a text that is not whole JSON, such as an answer that is longer than what is read of it.
 */
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
