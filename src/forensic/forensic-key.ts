/**
 * The key that signs forensic exports (`FORENSIC_HMAC_KEY_PATH`). It is never the audit key: whoever checks an export
 * offline needs the key, and with the audit key could write a log that verifies.
 */
import { createHash } from 'node:crypto';
import { RecorderError } from '../errors.ts';
import { readSecretFile } from '../secret-file.ts';

const VARIABLE = 'FORENSIC_HMAC_KEY_PATH';
const SHORTEST = 32;
/** What the appliance's offline verifier takes. */
const LONGEST_FILE = 4096;

/** White space in ASCII, as the offline verifier strips it (`bytes.strip` of Python). */
const SPACE: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0b, 0x0c, 0x0d]);

/** What the key must not be. */
export interface OtherSecrets {
  /** `fingerprintOf` the audit key; undefined without one. */
  readonly auditKey: string | undefined;
  /** Whether a text is the token of a client. */
  readonly isToken: (text: string) => boolean;
}

/** Tells one key from another without keeping it. */
export const fingerprintOf = (key: Uint8Array): string =>
  createHash('sha256')
    .update(stripped(Buffer.from(key)))
    .digest('hex');

/**
 * Reads the key.
 * @param path of its file; undefined when there is none
 * @throws RecorderError `config`, which names the variable and says what to do
 */
export function readForensicKey(path: string | undefined, { auditKey, isToken }: OtherSecrets): Buffer {
  if (path === undefined) {
    throw new RecorderError('config', `${VARIABLE} is not set: name a file with a key of at least ${SHORTEST} bytes`);
  }
  const key = stripped(contentOf(path));
  if (key.length < SHORTEST) {
    throw refuse(
      `${path} holds a key of ${key.length} bytes, but it takes at least ${SHORTEST}; ` +
        `make one: (umask 077; openssl rand -hex 32 > ${path})`,
    );
  }
  if (fingerprintOf(key) === auditKey) {
    throw refuse(`${path} holds the audit key (AUDIT_HMAC_KEY_PATH): forensic exports take a key of their own`);
  }
  if (isToken(key.toString('latin1'))) {
    throw refuse(`${path} holds a token: whoever has it could sign; forensic exports take a key of their own`);
  }
  return key;
}

function contentOf(path: string): Buffer {
  try {
    const { content } = readSecretFile(path, {
      followLinks: false,
      forbiddenMode: 0o022,
      permissions: `can be written by others, so they can choose the key of forensic exports; run: chmod go-w ${path}`,
    });
    if (content.length <= LONGEST_FILE) return content;
  } catch (error) {
    throw refuse((error as Error).message);
  }
  throw refuse(`${path} is longer than ${LONGEST_FILE} bytes`);
}

const refuse = (what: string): RecorderError => new RecorderError('config', `${VARIABLE}: ${what}`);

function stripped(content: Buffer): Buffer {
  let from = 0;
  let to = content.length;
  while (from < to && SPACE.has(content[from]!)) from += 1;
  while (to > from && SPACE.has(content[to - 1]!)) to -= 1;
  return content.subarray(from, to);
}
