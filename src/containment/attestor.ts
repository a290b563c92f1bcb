/**
 * Asks the attestor of this machine whether it may be trusted again: `POST /api/v1/refresh`, on the loopback, by
 * node:http.
 *
 * Each request has a nonce and a connection of its own and is answered whole within 35 seconds, or not at all. What the
 * answer proves is judged in `attestor-bundle.ts`.
 */
import { randomBytes } from 'node:crypto';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { type Clock, SECOND, systemClock } from '../clock.ts';
import type { AttestationEvidence } from '../domain/attestation-evidence.ts';
import { RecorderError } from '../errors.ts';
import { readSecretFile } from '../secret-file.ts';
import { type AttestationRequest, judgeBundle } from './attestor-bundle.ts';

/**
 * What came of one request.
 * - `attested`: the answer proves everything that is asked for.
 * - `refused`: the attestor answered, and this is what was wrong with the answer. It may be another one the next time.
 * - `unreachable`: no attestation was made or none arrived; or this recorder is not set up to ask for one.
 */
export type AttestationOutcome =
  | { readonly kind: 'attested'; readonly evidence: AttestationEvidence }
  | { readonly kind: 'refused'; readonly faults: readonly string[] }
  | { readonly kind: 'unreachable'; readonly error: string };

export interface Attestor {
  /** Asks once. Rejects only when `signal` has aborted. */
  attest(signal?: AbortSignal): Promise<AttestationOutcome>;
}

/** Where the attestor is, and what it takes to ask it. */
export interface AttestorAddress {
  /** The address of `RUNTIME_ATTESTOR_URL`, without brackets, and the port. */
  readonly host: string;
  readonly port: number;
  /** What comes before `/api/v1/refresh`; empty for most. */
  readonly path: string;
  /** The file with the token that is presented. Both files are read for each request, so they can be replaced. */
  readonly tokenPath: string;
  /** The file with the key of the bundles' signatures, in hexadecimal. */
  readonly keyPath: string;
}

/** How long an attestor has for its whole answer, in milliseconds. It asks a TPM, which is slow. */
const LONGEST_WAIT = 35 * SECOND;

/** In bytes. A bundle takes a few thousand. */
const LONGEST_ANSWER = 1024 * 1024;

/** In bytes: the key is at least as long as what it makes, as for every HMAC-SHA256 (RFC 2104, section 3). */
const SHORTEST_KEY = 32;

/**
 * The attestor at an address.
 * @param clock its wall clock dates the request
 * @param timeout in milliseconds
 */
export const attestorAt = (
  address: AttestorAddress,
  clock: Pick<Clock, 'now'> = systemClock,
  timeout = LONGEST_WAIT,
): Attestor => ({
  attest: async (signal) => {
    signal?.throwIfAborted();
    let body: Buffer | string;
    let asked: Omit<AttestationRequest, 'answeredAt'>;
    try {
      const token = tokenIn(address.tokenPath);
      const key = keyIn(address.keyPath);
      const nonce = randomBytes(32).toString('hex');
      asked = { key, nonce, requestedAt: clock.now() };
      body = await ask(address, token, nonce, timeout, signal);
    } catch (error) {
      signal?.throwIfAborted();
      return { kind: 'unreachable', error: wordsOf(error as NodeJS.ErrnoException) };
    }
    if (typeof body === 'string') return { kind: 'refused', faults: [body] };
    return judgeBundle(body, { ...asked, answeredAt: clock.now() });
  },
});

/**
 * Sends one request.
 * @returns the body of the answer, or what is wrong with it
 * @throws Error that says in a few words why there is none; with a `code` when it comes from the system
 */
async function ask(
  { host, port, path }: AttestorAddress,
  token: string,
  nonce: string,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<Buffer | string> {
  const body = JSON.stringify({ request_nonce: nonce });
  const outgoing = request({
    host,
    port,
    path: `${path}/api/v1/refresh`,
    method: 'POST',
    agent: false,
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    },
    signal,
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    outgoing.destroy();
  }, timeout);
  try {
    outgoing.end(body);
    return await bodyOf(await answerTo(outgoing));
  } catch (error) {
    throw late ? new Error(`no whole answer within ${timeout / SECOND} s`, { cause: error }) : error;
  } finally {
    clearTimeout(timer);
    outgoing.destroy();
  }
}

function answerTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing
      .on('response', resolve)
      .on('error', reject)
      .on('close', () => reject(new Error('the connection was closed without an answer')));
  });
}

/** Only 200 brings a bundle. A redirect is not followed: it would take the token elsewhere. */
async function bodyOf(incoming: IncomingMessage): Promise<Buffer | string> {
  const { statusCode = 0 } = incoming;
  if (statusCode !== 200) throw new Error(`it answered ${statusCode}${HINTS[statusCode] ?? ''}`);
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > LONGEST_ANSWER) return `the answer is longer than ${LONGEST_ANSWER} bytes`;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const NO_REDIRECT = ', and redirects are not followed';
const NO_TOKEN = ': it does not take the token of RUNTIME_ATTESTOR_TOKEN_PATH';

const HINTS: Readonly<Record<number, string>> = {
  301: NO_REDIRECT,
  302: NO_REDIRECT,
  303: NO_REDIRECT,
  307: NO_REDIRECT,
  308: NO_REDIRECT,
  401: NO_TOKEN,
  403: NO_TOKEN,
};

/** @throws RecorderError that names the variable instead of the path: it ends up in the audit log */
const unnamed = <Secret>(path: string, variable: string, read: (path: string) => Secret): Secret => {
  try {
    return read(path);
  } catch (error) {
    throw new RecorderError('config', (error as Error).message.replaceAll(path, `the file of ${variable}`), {
      cause: error,
    });
  }
};

const tokenIn = (path: string): string => unnamed(path, 'RUNTIME_ATTESTOR_TOKEN_PATH', readToken);

const readToken = (path: string): string => {
  const { content } = readSecretFile(path, {
    followLinks: true,
    forbiddenMode: 0o007,
    permissions: `is open to every user of this machine; run: chmod o-rwx ${path}`,
  });
  const token = content.toString('latin1').trim();
  // A header would carry what follows a line's end as a header of its own.
  if (!/^[!-~]+$/.test(token)) throw new Error(`${path} holds no token`);
  return token;
};

const keyIn = (path: string): Buffer => unnamed(path, 'ATTESTATION_HMAC_KEY_PATH', readAttestationKey);

/**
 * Reads the key of the bundles' signatures: at least 64 hexadecimal digits, white space around them does not count, in a
 * regular file that is closed to others and that its group cannot write.
 * @throws RecorderError or Error that does not contain the key
 */
const readAttestationKey = (path: string): Buffer => {
  const { content } = readSecretFile(path, {
    followLinks: false,
    forbiddenMode: 0o027,
    permissions: `is open to others than its owner and readers of its group; run: chmod g-w,o-rwx ${path}`,
  });
  const digits = content.toString('latin1').trim();
  if (!/^(?:[\da-f]{2})+$/i.test(digits)) throw new Error(`${path} holds something else than hexadecimal digits`);
  if (digits.length < 2 * SHORTEST_KEY) throw new Error(`${path} holds fewer than ${2 * SHORTEST_KEY} digits`);
  return Buffer.from(digits, 'hex');
};

/** Why the attestor can't be asked, as far as its token and key show; empty when it can. */
export const secretFaults = ({ tokenPath, keyPath }: AttestorAddress): readonly string[] =>
  [() => tokenIn(tokenPath), () => keyIn(keyPath)].flatMap((read) => {
    try {
      read();
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there (ECONNREFUSED)',
  ECONNRESET: 'the connection broke before a whole answer had come (ECONNRESET)',
  EPIPE: 'the connection broke before the request was taken (EPIPE)',
  EAFNOSUPPORT: 'this service may not use such addresses; allow AF_INET6 in RestrictAddressFamilies= (EAFNOSUPPORT)',
};

/** No word of what the other end sent: the parser's messages are its own. */
const wordsOf = ({ code, message }: NodeJS.ErrnoException): string => {
  if (code?.startsWith('HPE_') === true) return `what answers there does not speak HTTP (${code})`;
  return REASONS[code ?? ''] ?? message;
};
