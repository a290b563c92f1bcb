/** Sends a directive to a service that listens for it, and judges the answer. */
import { SECOND } from '../clock.ts';
import { AWAITED } from '../domain/withheld.ts';
import type { Endpoint } from '../policy/targets.ts';
import { readSecretFile } from '../secret-file.ts';
import { type HttpAnswer, post } from './http-post.ts';
import { readSigningSecrets, signed } from './signature.ts';
import type { AttemptResult } from './attempt-result.ts';
import { LONGEST_RETRY_AFTER } from './retry-pause.ts';

export interface Sending {
  readonly endpoint: Pick<Endpoint, 'url'>;
  /** A file with the token that is presented; it is read for each attempt, so it can be replaced at any time. */
  readonly tokenPath: string | undefined;
  /** Whether what answers over TCP must prove that it knows the token, before it gets that and the body. */
  readonly prove?: boolean | undefined;
  /** A file with the secret to sign with, read for each attempt as well. */
  readonly secretPath?: string | undefined;
  /** A file with the certificates that an https service is checked against; by default the system's. */
  readonly caPath?: string | undefined;
  readonly headers: Readonly<Record<string, string>> & { readonly 'idempotency-key': string };
  readonly body: object | string;
  /** In milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
  /**
   * Whether its answer confirms, as by default, or its service does so later. `status`: any 2xx is success, and after
   * anything else it is tried again.
   */
  readonly confirm?: 'answer' | 'callback' | 'status' | undefined;
  /** The statuses after which another attempt is pointless; by default those of `FINAL`. */
  readonly final?: readonly number[] | undefined;
  /** The statuses that say that it is already carried out; by default none. */
  readonly doneWhen?: readonly number[] | undefined;
}

/**
 * The answers of a target that say that the request itself is wrong. Everything else may be another answer the next
 * time: a token is rotated (401, 403), a service is deployed (404, 502), an agent is busy (409).
 */
const FINAL: readonly number[] = [400, 410, 413, 422];

/** How long the service of a target that answered 202 has for its confirmation, before it is asked again. */
const UNTIL_ASKED_AGAIN = 60 * SECOND;

/** The same for a target whose service confirms later: 202 only says that it has taken the directive. */
const judgeCallback = (answer: HttpAnswer, final?: readonly number[], doneWhen?: readonly number[]): AttemptResult => {
  const result = judge(answer, final, doneWhen);
  return result.kind === 'done' && answer.status === 202
    ? { kind: 'accepted', error: AWAITED, retryAfter: UNTIL_ASKED_AGAIN }
    : result;
};

const judgeStatus = (answer: HttpAnswer): AttemptResult => judge({ ...answer, denies: false }, []);

const JUDGES = { answer: judge, callback: judgeCallback, status: judgeStatus } as const;

/** Sends a directive and says what came of it. Rejects only when `signal` has aborted. */
export async function send({
  endpoint,
  tokenPath,
  prove,
  secretPath,
  caPath,
  headers,
  body,
  timeout,
  signal,
  confirm = 'answer',
  final,
  doneWhen,
}: Sending): Promise<AttemptResult> {
  try {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const token = tokenPath === undefined ? undefined : tokenIn(tokenPath);
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const signature =
      secretPath === undefined
        ? {}
        : signed(unnamed(secretPath, 'secret_path', readSigningSecrets), headers['idempotency-key'], text, Date.now());
    return JUDGES[confirm](
      await post({
        url: endpoint.url,
        headers: { ...headers, ...signature, ...authorization },
        body: text,
        caPath,
        provenBy: prove === true ? token : undefined,
        timeout,
        signal,
      }),
      final,
      doneWhen,
    );
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'missed', error: wordsOf(error as NodeJS.ErrnoException) };
  }
}

/**
 * What an answer amounts to: 2xx is success, unless its JSON says `success: false`; a status in `doneWhen` is success,
 * whatever the body says; a status in `final` is an answer for good; after anything else it is tried again.
 */
export function judge(
  { status, headers, body, denies }: HttpAnswer,
  final = FINAL,
  doneWhen: readonly number[] = [],
): AttemptResult {
  const isTaken = status >= 200 && status < 300;
  if ((isTaken && !denies) || doneWhen.includes(status))
    return { kind: 'done', receipt: { by: 'answer', status, ...(body === '' ? {} : { body }) } };
  const error = body === '' ? `answered ${status}` : `answered ${status}: ${body}`;
  if (!isTaken && final.includes(status)) return { kind: 'refused', error };
  const retryAfter = pauseIn(headers['retry-after']);
  return { kind: 'missed', error, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), .*GMT$/;

/** The pause that a Retry-After header asks for, in milliseconds: RFC 9110, section 10.2.3. */
function pauseIn(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const pause = /^\d{1,9}$/.test(header)
    ? Number(header) * SECOND
    : Date.parse(HTTP_DATE.exec(header)?.[0] ?? '') - Date.now();
  return Number.isNaN(pause) ? undefined : Math.min(Math.max(pause, 0), LONGEST_RETRY_AFTER);
}

/**
 * Reads a secret's file. Its errors name the key of the policy instead of the path: they end up in the audit log, which
 * more people read than may know the path.
 */
export const unnamed = <Secret>(path: string, key: string, read: (path: string) => Secret): Secret => {
  try {
    return read(path);
  } catch (error) {
    throw new Error((error as Error).message.replaceAll(path, `the file of ${key}`), { cause: error });
  }
};

const tokenIn = (path: string): string => unnamed(path, 'token_path', readToken);

/** The token in a file, that is not writable by everybody. @throws Error that never contains it */
export const readToken = (path: string): string => {
  const { content } = readSecretFile(path, {
    followLinks: true,
    forbiddenMode: 0o002,
    permissions: `can be written by every user of this machine; run: chmod o-w ${path}`,
  });
  const token = content.toString('latin1').trim();
  // A header would carry what follows a line's end as a header of its own.
  if (!/^[!-~]+$/.test(token)) throw new Error(`${path} holds no token`);
  return token;
};

/** The path of a URL in a file. @throws Error that never contains it */
export const readPath = (path: string): string => {
  const text = readToken(path);
  if (!/^\/[!"$-~]*$/.test(text)) throw new Error(`${path} holds no path of a URL: that begins with "/"`);
  return text;
};

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there (ECONNREFUSED)',
  ENOENT: 'there is no such socket (ENOENT)',
  EACCES: 'its socket may not be opened (EACCES)',
  ECONNRESET: 'the connection broke before a whole answer had come (ECONNRESET)',
  ...Object.fromEntries(
    [
      'SELF_SIGNED_CERT_IN_CHAIN',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ].map((code) => [
      code,
      `its certificate is from nobody who is trusted here (${code}); name the authority by ca_path`,
    ]),
  ),
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name (ERR_TLS_CERT_ALTNAME_INVALID)',
  CERT_HAS_EXPIRED: 'its certificate has expired (CERT_HAS_EXPIRED)',
  EPIPE: 'the connection broke before the request was taken (EPIPE)',
};

/** Errors that say nothing of what the service answered, and name no file. */
const isHarmless = (error: string): boolean =>
  Object.values(REASONS).includes(error) || error.startsWith('impostor: ') || /^no answer within \d+ ms$/.test(error);

/** What anybody may know of an error of `send`: no word of the service's answer but its status, and no path. */
export const briefly = (error: string): string =>
  isHarmless(error) ? error : (/^answered \d{3}/.exec(error)?.[0] ?? 'it could not be sent');

const wordsOf = ({ code, message }: NodeJS.ErrnoException): string => REASONS[code ?? ''] ?? message;
