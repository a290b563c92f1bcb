import { isAscii } from 'node:buffer';
import { RecorderError } from '../errors.ts';
import { readSecretFile } from '../secret-file.ts';

const SHORTEST = 32;
const LONGEST = 4096;

/**
 * Reads the key of the audit chain (`AUDIT_HMAC_KEY_PATH`): a regular file, not a symbolic link, not writable by group
 * or others, of 32 to 4,096 bytes. White space around printable text is not part of the key. In any other content every
 * byte counts. These are the rules of the appliance's chain verifier.
 * @throws RecorderError `config`; its message says what to do and does not contain the key
 */
export const readKey = (path: string): Buffer => {
  const { content } = readSecretFile(path, {
    followLinks: false,
    forbiddenMode: 0o022,
    permissions: `can be written by others, so they can choose the audit key; run: chmod go-w ${path}`,
  });
  const key = withoutSpaceAround(content);
  if (key.length >= SHORTEST && key.length <= LONGEST) return key;
  throw new RecorderError(
    'config',
    `${path} holds an audit key of ${key.length} bytes, but it takes ${SHORTEST} to ${LONGEST}; ` +
      `make one before the log's first entry: (umask 077; openssl rand -hex 32 > ${path})`,
  );
};

const withoutSpaceAround = (content: Buffer): Buffer => {
  if (!isAscii(content)) return content;
  const text = content.toString('latin1').trim();
  return /^[ -~]*$/.test(text) ? Buffer.from(text, 'latin1') : content;
};
