import { closeSync, constants, fstatSync, openSync, readFileSync, type BigIntStats } from 'node:fs';
import { RecorderError } from './errors.ts';

/** In bytes. Far more than any secret: a larger file is something else. */
const LARGEST = 16 * 1024;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  ENOTDIR: 'is not there',
  EACCES: 'cannot be read by this user',
  ELOOP: 'is a symbolic link; name the file itself',
};

interface SecretFile {
  readonly content: Buffer;
  /** The status of the open file, read before its content. */
  readonly stats: BigIntStats;
}

/**
 * Reads a small regular file with a secret. The file is opened once and checked by its descriptor, so that nobody can
 * replace it in between. Opening never waits, not even for a named pipe.
 * @param demands `forbiddenMode`: permission bits that the file must not have; `permissions`: the message when it has
 *   them; `followLinks`: whether the path may be a symbolic link; `largest`: bytes that it may have
 * @throws RecorderError `config`; its message names the file and never contains its content
 */
export const readSecretFile = (
  path: string,
  demands: {
    readonly forbiddenMode: number;
    readonly permissions: string;
    readonly followLinks: boolean;
    readonly largest?: number | undefined;
  },
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
    if (stats.size > (demands.largest ?? LARGEST))
      throw new RecorderError('config', `${path} is too large to be a secret`);
    return { content: readFileSync(file), stats };
  } catch (error) {
    if (error instanceof RecorderError) throw error;
    const code = String((error as NodeJS.ErrnoException).code);
    throw new RecorderError('config', `${path} ${REASONS[code] ?? `cannot be read (${code})`}`, { cause: error });
  } finally {
    if (file !== undefined) closeSync(file);
  }
};
