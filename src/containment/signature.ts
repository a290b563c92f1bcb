/**
 * Signs requests as Standard Webhooks 1.0 lays down, so that a receiver knows that they come from this recorder and are
 * not old ones sent again.
 *
 * `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`. The key is what
 * `whsec_<base64>` holds. With several secrets there is a signature for each, with spaces between, so that a receiver
 * takes the requests while its secret is replaced.
 */
import { createHmac } from 'node:crypto';
import { SECOND } from '../clock.ts';
import { readSecretFile } from '../secret-file.ts';

/** In bytes, as the specification has it. */
const SHORTEST = 24;
const LONGEST = 64;
const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/;
/** The old and the new one, and one to spare. */
const MOST_SECRETS = 3;

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
export function signed(secrets: readonly Buffer[], id: string, body: string, now: number): SignatureHeaders {
  const webhookId = id.replaceAll('.', '_');
  const timestamp = String(Math.floor(now / SECOND));
  const signatures = secrets.map((secret) => {
    const hmac = createHmac('sha256', secret).update(`${webhookId}.${timestamp}.${body}`);
    return `v1,${hmac.digest('base64')}`;
  });
  return { 'webhook-id': webhookId, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}

/**
 * Reads the secrets of a receiver: one, or several in place of it while it is replaced, a line each.
 * @throws Error that says what is wrong with the file, and never contains the secret
 */
export function readSigningSecrets(path: string): readonly Buffer[] {
  const { content } = readSecretFile(path, {
    followLinks: true,
    forbiddenMode: 0o007,
    permissions: `is open to every user of this machine; run: chmod o-rwx ${path}`,
  });
  const words = content.toString('latin1').trim().split(/\s+/);
  const secrets = words.map((word) => Buffer.from(SECRET.exec(word)?.[1] ?? '', 'base64'));
  const isUsable = secrets.every(({ length }) => length >= SHORTEST && length <= LONGEST);
  if (isUsable && secrets.length <= MOST_SECRETS) return secrets;
  throw new Error(
    `${path} holds no secret of the form whsec_ and the base64 of ${SHORTEST} to ${LONGEST} bytes, or up to ` +
      `${MOST_SECRETS} of them; ` +
      `make one: (umask 077; echo "whsec_$(openssl rand -base64 32)" > ${path})`,
  );
}
