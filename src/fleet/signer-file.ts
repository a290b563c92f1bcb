import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { replaceFile, syncDirectoryOf } from '../durable-file.ts';
import { RecorderError } from '../errors.ts';
import { readSecretFile } from '../secret-file.ts';
import { newSigner, readSignerKey, type Signer, signerKeyOf } from '../signed-note.ts';

const OWNER_ONLY = 0o600;

/**
 * Reads the key that the fleet signs with; makes one where there is none.
 * @param name that the key has, or gets
 * @throws RecorderError `config` for a file that others can read, and for a key of another name
 */
export async function openSigner(path: string, name: string): Promise<Signer> {
  if (!existsSync(path)) await makeKey(path, name);
  const { content } = readSecretFile(path, {
    followLinks: true,
    forbiddenMode: 0o077,
    permissions: `is open to others, who could sign as the fleet; run: chmod 600 ${path}`,
  });
  const signer = readSignerKey(content.toString('utf8').trim());
  if (signer.name === name) return signer;
  throw new RecorderError('config', `${path} holds the key of ${signer.name}, and FLEET_NAME is ${name}`);
}

/** Makes a key, unless another process that starts at the same time has made one: to replace that would lose it. */
async function makeKey(path: string, name: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const own = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await replaceFile(own, `${signerKeyOf(newSigner(name))}\n`, OWNER_ONLY);
    linkSync(own, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(own, { force: true });
  }
  await syncDirectoryOf(path);
}
