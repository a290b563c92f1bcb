import { chmodSync, chownSync, constants, linkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { openOwnFile, requireOwnDirectory } from '../../src/client/own-file.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;

describe('openOwnFile', () => {
  const directory = temporaryDirectories();
  const failure = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => expect.fail('it should have failed'),
      (error: unknown) => error,
    );

  it('makes a file that nobody else can read', async () => {
    const path = join(directory(), 'file');
    await (await openOwnFile(path, constants.O_RDWR)).close();
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it('closes its own file to others', async () => {
    const path = join(directory(), 'file');
    writeFileSync(path, 'a', { mode: 0o644 });
    await (await openOwnFile(path, constants.O_RDWR)).close();
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it('refuses what others may write, or what is no file', async () => {
    const place = directory();
    const [file, second, link] = ['file', 'second', 'link'].map((name) => join(place, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(file, '');
    linkSync(file, second);
    symlinkSync(file, link);
    expect(await failure(openOwnFile(file, constants.O_RDWR))).to.include({ fault: 'unsafe' });
    expect(await failure(openOwnFile(link, constants.O_RDWR))).to.include({ code: 'ELOOP' });
    expect(await failure(openOwnFile('/dev/null', constants.O_RDWR))).to.include({ fault: 'unsafe' });
  });

  it('refuses a file that somebody else has made', async function () {
    if (!isRoot) this.skip();
    const path = join(directory(), 'file');
    writeFileSync(path, '');
    chownSync(path, NOBODY, NOBODY);
    const error = await failure(openOwnFile(path, constants.O_RDWR));
    expect(error).to.include({ fault: 'unsafe' });
    expect((error as Error).message).to.include('belongs to user 65534');
  });

  it('refuses a directory in which others can write', async function () {
    const place = directory();
    const path = join(place, 'file');
    await requireOwnDirectory(path);
    for (const mode of [0o1777, 0o707]) {
      chmodSync(place, mode);
      expect(await failure(requireOwnDirectory(path))).to.include({ fault: 'unsafe' });
    }
    chmodSync(place, 0o700);
    if (!isRoot) this.skip();
    chownSync(place, 0, NOBODY);
    chmodSync(place, 0o770);
    expect(await failure(requireOwnDirectory(path))).to.include({ fault: 'unsafe' });
    chownSync(place, NOBODY, NOBODY);
    chmodSync(place, 0o700);
    expect(await failure(requireOwnDirectory(path))).to.include({ fault: 'unsafe' });
    chownSync(place, 0, 0);
  });
});
