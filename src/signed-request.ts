/**
 * Signatures of requests from a machine to its fleet (Ed25519), with the key that the machine has made to be enrolled: so
 * a token that was overheard or stolen is worth nothing without the key.
 *
 *     Machine-Signature: t=1795939920123; sha256=e3b0c442…; sig=base64
 *
 * What is signed is the form, the method, the target with its query, the time and the digest of the body as it is sent, a
 * line each.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/** In lower case. */
export const SIGNATURE_HEADER = 'machine-signature';

const FORM = 'incident-fleet/request/v1';
const HEADER = /^t=(\d{1,15}); sha256=([0-9a-f]{64}); sig=([A-Za-z0-9+/]{86}==)$/;

/** A request, as far as it is signed. */
export interface SignedRequest {
  readonly method: string;
  /** The path with its query. */
  readonly target: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** SHA-256 of the body as it is sent: lower-case hex. */
  readonly digest: string;
}

export const digestOf = (body: Buffer | undefined): string =>
  createHash('sha256')
    .update(body ?? '')
    .digest('hex');

const textOf = ({ method, target, time, digest }: SignedRequest): Buffer =>
  Buffer.from([FORM, method, target, time, digest, ''].join('\n'));

/** The value of the header. */
export const signRequest = (request: SignedRequest, key: KeyObject): string =>
  `t=${request.time}; sha256=${request.digest}; sig=${sign(undefined, textOf(request), key).toString('base64')}`;

/**
 * Reads the header of a request, and verifies it.
 * @returns undefined when the key has not signed this request
 */
export function openSignature(
  header: string,
  { method, target }: Pick<SignedRequest, 'method' | 'target'>,
  key: KeyObject,
): SignedRequest | undefined {
  const [, time, digest = '', signature = ''] = HEADER.exec(header) ?? [];
  if (time === undefined) return undefined;
  const request = { method, target, time: Number(time), digest };
  return verify(undefined, textOf(request), key, Buffer.from(signature, 'base64')) ? request : undefined;
}

/** The key of a machine, as it was enrolled (base64 of its SPKI); undefined for anything but an Ed25519 key. */
export function machineKeyIn(text: string | null): KeyObject | undefined {
  if (text === null) return undefined;
  try {
    const key = createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined;
  }
}
