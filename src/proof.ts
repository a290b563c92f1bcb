/**
 * The proof by which a recorder shows a client that it knows the service token: the exact bytes, for both sides.
 *
 * `src/client/README.md` describes it with test vectors. The key of a proof is SHA-256 of the token, so a recorder that
 * stores only that can prove itself too.
 */
import { createHash, createHmac } from 'node:crypto';

/** The request header with the challenge, and the response header with the proof, in the case that Node reads them. */
export const CHALLENGE_HEADER = 'recorder-challenge';
export const PROOF_HEADER = 'recorder-proof';

/** The first line of what is signed: the version of this form. */
const VERSION_LINE = 'recorder-proof-1';

/** What stands for the client's address over a unix socket, where clients have none. */
export const NO_ADDRESS = '-';

/** A request and its response, as a proof covers them. */
export interface ProvedExchange {
  readonly nonce: string;
  readonly method: string;
  /** The target as in the request line. */
  readonly target: string;
  /** Where the client reached the recorder: `127.0.0.1:8515`, `[::1]:8515` or `unix:/path`. */
  readonly recorder: string;
  /** Where the request came from: `127.0.0.1:40312`, `[::1]:40312`, or `-` over a unix socket. */
  readonly client: string;
  readonly status: number;
  /** The bytes of the body, or `stream` when it is not known yet; see `bodyDigest`. */
  readonly body: string;
}

/** The key of the proofs for a token. */
export const proofKeyOf = (token: string): Buffer => createHash('sha256').update(token, 'latin1').digest();

/** The name of a key in a challenge: the first 16 hex digits of its SHA-256. */
export const proofKeyIdOf = (key: Buffer): string => createHash('sha256').update(key).digest('hex').slice(0, 16);

/** What `ProvedExchange.body` is for a body that is known. */
export const bodyDigest = (body: string | Uint8Array): string => createHash('sha256').update(body).digest('hex');

/** `ProvedExchange.body` for a body that is not known when the headers are sent. */
export const STREAM = 'stream';

/** The proof: HMAC-SHA256 in hex. */
export const proofOf = (key: Buffer, exchange: ProvedExchange): string => {
  const { nonce, method, target, recorder, client, status, body } = exchange;
  const lines = [VERSION_LINE, nonce, method, target, recorder, client, status, body];
  return createHmac('sha256', key).update(lines.join('\n')).digest('hex');
};

/** An address in the form of a proof. IPv6's form of an IPv4 address counts as the IPv4 address. */
export const addressText = (address: string, port: number): string => {
  const ip = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return `${ip.includes(':') ? `[${ip}]` : ip}:${port}`;
};
