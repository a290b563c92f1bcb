import { closeSync, constants, fstatSync, openSync, readFileSync, type BigIntStats } from 'node:fs';
import { RecorderError } from './errors.ts';

/** Far more than any secret takes: what is larger is some other file. */
const LARGEST = 16n * 1024n;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  ENOTDIR: 'is not there',
  EACCES: 'cannot be read by this user',
  ELOOP: 'is a symbolic link; name the file itself',
};

interface SecretFile {
  /** What the file held when it was read. */
  readonly content: Buffer;
  /** What it was then, asked of the open file before its content was read. */
  readonly stats: BigIntStats;
}

/**
 * Reads a small regular file that holds a secret. The file is opened once and judged by its descriptor, so that nobody
 * can put another one under the name in between; opening never waits, not even on a named pipe.
 *
 * `forbiddenMode` are permission bits that the file must not have, and `permissions` is what to say when it does. With
 * `followLinks: false` a symbolic link is refused. Throws RecorderError('config') naming the file, never its content.
 */
export const readSecretFile = (
  path: string,
  demands: { readonly forbiddenMode: number; readonly permissions: string; readonly followLinks: boolean },
): SecretFile => {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  let file: number | undefined;
  try {
    file = openSync(path, O_RDONLY | O_NONBLOCK | (demands.followLinks ? 0 : O_NOFOLLOW));
    const stats = fstatSync(file, { bigint: true });
    if (!stats.isFile()) throw new RecorderError('config', `${path} is not a regular file`);
    if ((Number(stats.mode) & demands.forbiddenMode) !== 0) {
      throw new RecorderError('config', `${path} ${demands.permissions}`);
    }
    if (stats.size > LARGEST) throw new RecorderError('config', `${path} is too large to be a secret`);
    return { content: readFileSync(file), stats };
  } catch (error) {
    if (error instanceof RecorderError) throw error;
    const code = String((error as NodeJS.ErrnoException).code);
    throw new RecorderError('config', `${path} ${REASONS[code] ?? `cannot be read (${code})`}`, { cause: error });
  } finally {
    if (file !== undefined) closeSync(file);
  }
};
