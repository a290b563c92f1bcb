import { existsSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { SpoolLock } from '../../src/client/spool-lock.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('SpoolLock', () => {
  const directory = temporaryDirectories();
  const failure = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

  it('is held until it is released', async () => {
    const path = join(directory(), 'spool');
    const lock = await SpoolLock.take(path);
    expect(await failure(SpoolLock.take(path))).to.include({ name: 'SpoolError', fault: 'in_use' });
    await lock.release();
    expect(existsSync(`${path}.lock`)).to.equal(false);
  });

  it('says which process holds it: id, start and boot', async () => {
    const path = join(directory(), 'spool');
    const lock = await SpoolLock.take(path);
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    expect(readlinkSync(`${path}.lock`)).to.match(new RegExp(`^${process.pid} \\d+ ${boot}$`));
    await lock.release();
  });

  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const startOf = (pid: number): string =>
    readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[19]!;

  for (const [what, owner] of [
    ['of a process that has ended', `4194304 1 ${boot}`],
    ['of a process whose id another one of this user has now', `${process.pid} 1 ${boot}`],
    ['of a process whose id one of another user has now', `1 99999999999 ${boot}`],
    ['from before a reboot', `${process.pid} ${startOf(process.pid)} 00000000-0000-0000-0000-000000000000`],
    ['of an earlier version, of a dead process', `${process.pid} 1`],
    ['that says nothing', 'nonsense'],
  ] as const) {
    it(`replaces a lock ${what}`, async () => {
      const path = join(directory(), 'spool');
      symlinkSync(owner, `${path}.lock`);
      const lock = await SpoolLock.take(path);
      expect(readlinkSync(`${path}.lock`)).to.match(new RegExp(`^${process.pid} `));
      await lock.release();
    });
  }

  for (const [what, owner] of [
    ['of this version', `${process.pid} ${startOf(process.pid)} ${boot}`],
    ['of an earlier version', `${process.pid} ${startOf(process.pid)}`],
  ] as const) {
    it(`respects a lock ${what} that a living process holds`, async () => {
      const path = join(directory(), 'spool');
      symlinkSync(owner, `${path}.lock`);
      expect(await failure(SpoolLock.take(path))).to.include({ fault: 'in_use' });
    });
  }

  it('does not touch what is no lock', async () => {
    const path = join(directory(), 'spool');
    writeFileSync(`${path}.lock`, 'notes');
    expect(await failure(SpoolLock.take(path))).to.include({ fault: 'is_another' });
    expect(readFileSync(`${path}.lock`, 'utf8')).to.equal('notes');
  });
});
