import type { BigIntStats } from 'node:fs';
import { RecorderError } from '../errors.ts';
import { requireSafeWay, requireTrustedOwner } from '../path-trust.ts';
import { isPrivateGroup } from '../private-group.ts';
import { readSecretFile } from '../secret-file.ts';

/**
 * Reads a file that says who is let in: a token, or the access file. It is closed to others, also by every directory on
 * the way to it, belongs to root or to this user, and no group can write it. It may be a symbolic link.
 * @param trustedBelow directories above this one are not checked; by default all are
 * @param largest bytes that it may have; by default as many as any secret
 * @throws RecorderError `config`, which names the file and says what to do
 */
export function readClosedFile(
  path: string,
  trustedBelow?: string,
  largest?: number,
): { readonly content: Buffer; readonly stats: BigIntStats } {
  requireSafeWay(path, trustedBelow);
  const { content, stats } = readSecretFile(path, {
    followLinks: true,
    forbiddenMode: 0o007,
    permissions: `is open to every user of this machine; run: chmod o-rwx ${path}`,
    largest,
  });
  requireTrustedOwner(path, stats.uid);
  if ((stats.mode & 0o020n) !== 0n && !isPrivateGroup(stats.gid)) {
    throw new RecorderError('config', `${path} can be written by its group; run: chmod g-w ${path}`);
  }
  return { content, stats };
}
