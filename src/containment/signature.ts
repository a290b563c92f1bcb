/**
 * Signs requests as Standard Webhooks 1.0 lays down, so that a receiver knows that they come from this recorder and are
 * not old ones sent again.
 *
 * `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`. The key is what
 * `whsec_<base64>` holds.
 */
import { createHmac } from 'node:crypto';
import { SECOND } from '../clock.ts';
import { readSecretFile } from '../secret-file.ts';

/** In bytes, as the specification has it. */
const SHORTEST = 24;
const LONGEST = 64;
const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/;

export interface SignatureHeaders {
  readonly 'webhook-id': string;
  /** In seconds. */
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

/**
 * Signs a body.
 * @param id the same for each attempt to send the same; a full stop, which separates what is signed, is replaced
 * @param now in milliseconds since the epoch
 */
export function signed(secret: Buffer, id: string, body: string, now: number): SignatureHeaders {
  const webhookId = id.replaceAll('.', '_');
  const timestamp = String(Math.floor(now / SECOND));
  const signature = createHmac('sha256', secret).update(`${webhookId}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': webhookId, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

/**
 * Reads the secret of a receiver.
 * @throws Error that says what is wrong with the file, and never contains the secret
 */
export function readSigningSecret(path: string): Buffer {
  const { content } = readSecretFile(path, {
    followLinks: true,
    forbiddenMode: 0o007,
    permissions: `is open to every user of this machine; run: chmod o-rwx ${path}`,
  });
  const [, base64 = ''] = SECRET.exec(content.toString('latin1').trim()) ?? [];
  const secret = Buffer.from(base64, 'base64');
  if (secret.length >= SHORTEST && secret.length <= LONGEST) return secret;
  throw new Error(
    `${path} holds no secret of the form whsec_ and the base64 of ${SHORTEST} to ${LONGEST} bytes; ` +
      `make one: (umask 077; echo "whsec_$(openssl rand -base64 32)" > ${path})`,
  );
}
