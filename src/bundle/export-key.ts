/**
 * The key that signs evidence bundles (`EXPORT_KEY_PATH`): an Ed25519 private key in PEM, as
 * `openssl genpkey -algorithm ed25519` makes it.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { RecorderError } from '../errors.ts';
import { readSecretFile } from '../secret-file.ts';
import { fingerprintOf } from './format.ts';

const VARIABLE = 'EXPORT_KEY_PATH';

export interface ExportKey {
  /** PEM (SubjectPublicKeyInfo). */
  readonly publicKey: string;
  readonly fingerprint: string;
  /** @returns the signature in base64 */
  sign(bytes: Uint8Array): string;
}

/**
 * Reads the key.
 * @throws RecorderError `config`, which names the variable and says what to do
 */
export function readExportKey(path: string): ExportKey {
  const key = privateKeyIn(path);
  if (key.asymmetricKeyType !== 'ed25519') {
    throw refuse(`${path} holds a key of the type ${key.asymmetricKeyType}; ${HOW}`);
  }
  return exportKeyOf({ privateKey: key, publicKey: createPublicKey(key) });
}

/** What signs bundles with an Ed25519 key: the one in `EXPORT_KEY_PATH`, or a fleet's own. */
export const exportKeyOf = ({
  privateKey,
  publicKey,
}: {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}): ExportKey => ({
  publicKey: String(publicKey.export({ type: 'spki', format: 'pem' })),
  fingerprint: fingerprintOf(publicKey.export({ type: 'spki', format: 'der' })),
  sign: (bytes) => sign(null, bytes, privateKey).toString('base64'),
});

const HOW = 'make one: (umask 077; openssl genpkey -algorithm ed25519 -out FILE)';

function privateKeyIn(path: string): KeyObject {
  let content: Buffer;
  try {
    ({ content } = readSecretFile(path, {
      followLinks: false,
      forbiddenMode: 0o026,
      permissions: `can be written by its group or read by others, who could sign; run: chmod g-w,o-rw ${path}`,
    }));
  } catch (error) {
    throw refuse((error as Error).message);
  }
  try {
    return createPrivateKey(content);
  } catch (cause) {
    throw refuse(`${path} holds no private key in PEM without a passphrase; ${HOW}`, cause);
  }
}

const refuse = (what: string, cause?: unknown): RecorderError =>
  new RecorderError('config', `${VARIABLE}: ${what}`, { cause });
