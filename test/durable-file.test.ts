import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { replaceFile, syncDirectoryOf, writeAll } from '../src/durable-file.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

describe('durable files', () => {
  const directory = temporaryDirectories();

  it('writeAll writes at a position, and without one at the end of a file that is open for appending', async () => {
    const path = join(directory(), 'file');
    writeFileSync(path, 'abcdef');
    const file = openSync(path, 'r+');
    await writeAll(file, Buffer.from('XY'), 2);
    closeSync(file);
    const appending = openSync(path, constants.O_WRONLY | constants.O_APPEND);
    await writeAll(appending, Buffer.from('gh'));
    await writeAll(appending, Buffer.alloc(0));
    await writeAll(appending, Buffer.from('i'));
    closeSync(appending);
    expect(readFileSync(path, 'utf8')).to.equal('abXYefghi');
  });

  it('writeAll rejects with the error of the system', async () => {
    const path = join(directory(), 'file');
    writeFileSync(path, '');
    const file = openSync(path, 'r');
    const error = await writeAll(file, Buffer.from('x')).catch((reason: unknown) => reason);
    closeSync(file);
    expect(error).to.have.property('code', 'EBADF');
  });

  it('replaceFile replaces the content, keeps nothing else, and sets the mode', async () => {
    const home = directory();
    const path = join(home, 'file');
    await replaceFile(path, 'old');
    expect(statSync(path).mode & 0o777).to.equal(0o640 & ~process.umask());
    await replaceFile(path, 'new', 0o600);
    expect(readFileSync(path, 'utf8')).to.equal('new');
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(readdirSync(home)).to.deep.equal(['file']);
  });

  it('replaceFile does not follow a link that somebody put in its way', async () => {
    const home = directory();
    const victim = join(home, 'victim');
    writeFileSync(victim, 'untouched');
    symlinkSync(victim, join(home, 'file.new'));
    await replaceFile(join(home, 'file'), 'content');
    expect(readFileSync(victim, 'utf8')).to.equal('untouched');
    expect(readFileSync(join(home, 'file'), 'utf8')).to.equal('content');
  });

  it('replaceFile is not kept from it by a directory that somebody put in its way', async () => {
    const home = directory();
    mkdirSync(join(home, 'file.new', 'below'), { recursive: true });
    await replaceFile(join(home, 'file'), 'content');
    expect(readFileSync(join(home, 'file'), 'utf8')).to.equal('content');
  });

  it('replaceFile leaves nothing behind when it fails', async () => {
    const home = directory();
    mkdirSync(join(home, 'file', 'in the way'), { recursive: true });
    const error = await replaceFile(join(home, 'file'), 'content').catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(Error);
    expect(readdirSync(home)).to.deep.equal(['file']);
  });

  it('syncDirectoryOf needs a directory', async () => {
    const home = directory();
    await syncDirectoryOf(join(home, 'any name'));
    const error = await syncDirectoryOf(join(home, 'nowhere', 'file')).catch((reason: unknown) => reason);
    expect(error).to.have.property('code', 'ENOENT');
  });
});
