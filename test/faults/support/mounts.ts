import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEBIBYTE = 1024 * 1024;

interface Mounts {
  /** A file system in memory, with room for this many bytes. */
  tmpfs(bytes: number): string;
  /** An ext4 file system in a file. */
  ext4(bytes?: number): string;
  /**
   * Leaves of an ext4 file system what a power cut would leave now: what was synced, and what the kernel has written by itself.
   * Nothing may write to it any more.
   * @param kill ends who has files open there; what they have written and not synced is forgotten
   */
  cutPower(directory: string, kill: () => Promise<void>): Promise<void>;
  remount(directory: string, option: 'ro' | 'rw' | `size=${number}`): void;
}

/**
 * Mounts small file systems, which are unmounted after the test that asked for them. Called inside `describe`, after
 * `runningServices`: the services must have closed their files by then.
 */
export function mounts(): Mounts {
  const places: string[] = [];
  const place = (): string => {
    const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-mount-'));
    places.push(directory);
    return directory;
  };
  afterEach(() => {
    for (const directory of places.splice(0)) {
      // Lazily, so that a test that failed half-way leaves nothing mounted; a loop device goes with its mount.
      execFileSync('umount', ['--lazy', directory]);
      rmSync(directory, { recursive: true });
      for (const image of [`${directory}.img`, `${directory}.img.left`]) rmSync(image, { force: true });
    }
  });
  return {
    tmpfs(bytes) {
      const directory = place();
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', directory]);
      return directory;
    },
    ext4(bytes = 8 * MEBIBYTE) {
      const directory = place();
      const image = openSync(`${directory}.img`, 'w');
      ftruncateSync(image, bytes);
      closeSync(image);
      execFileSync('mkfs.ext4', ['-q', '-m', '0', `${directory}.img`]);
      execFileSync('mount', ['-o', 'loop', `${directory}.img`, directory]);
      return directory;
    },
    async cutPower(directory, kill) {
      const [image, left] = [`${directory}.img`, `${directory}.img.left`];
      execFileSync('cp', ['--sparse=always', image, left]);
      await kill();
      execFileSync('umount', [directory]);
      renameSync(left, image);
      execFileSync('mount', ['-o', 'loop', image, directory]);
    },
    remount(directory, option) {
      execFileSync('mount', ['-o', `remount,${option}`, directory]);
    },
  };
}
