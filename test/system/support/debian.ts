import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const CACHE = '/var/cache/incident-recorder-test';
const RELEASE = 'trixie';
/** Beside systemd what it takes for SocketBindDeny=, and what somebody needs who follows the README. */
const PACKAGES = ['systemd', 'systemd-sysv', 'libbpf1', 'curl', 'openssl'];

/** A Debian 13 with systemd, as debootstrap makes it: made once, and only read from then on. Gives its directory. */
export function debian(): string {
  const root = join(CACHE, [RELEASE, ...PACKAGES].join('+'));
  if (existsSync(root)) return root;
  const unfinished = `${root}.${process.pid}`;
  mkdirSync(CACHE, { recursive: true });
  const options = ['--variant=minbase', `--include=${PACKAGES.join()}`];
  const { status, stdout, stderr } = spawnSync('debootstrap', [...options, RELEASE, unfinished], { encoding: 'utf8' });
  if (status !== 0) {
    rmSync(unfinished, { recursive: true, force: true });
    throw new Error(`debootstrap failed (${status}): ${stdout.slice(-2000)}${stderr}`);
  }
  rmSync(join(unfinished, 'var/cache/apt/archives'), { recursive: true, force: true });
  renameSync(unfinished, root);
  return root;
}
