import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { open } from '../src/async-files.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

describe('an open file', () => {
  const directory = temporaryDirectories();
  let path: string;

  beforeEach(() => {
    path = join(directory(), 'file');
    writeFileSync(path, 'a line\nand another\n');
  });

  it('is read at a place', async () => {
    const file = await open(path, 'r');
    const { bytesRead, buffer } = await file.read(Buffer.alloc(4), 0, 4, 2);
    await file.close();
    expect([bytesRead, buffer.toString()]).to.deep.equal([4, 'line']);
  });

  it('tells its size and its times, and is cut and synced', async () => {
    const file = await open(path, 'r+');
    await file.truncate(6);
    await file.datasync();
    await file.sync();
    expect((await file.stat()).size).to.equal(6);
    expect((await file.stat({ bigint: true })).size).to.equal(6n);
    await file.close();
    expect(readFileSync(path, 'utf8')).to.equal('a line');
  });

  it('is closed once, when what runs on it is done, and then refuses', async () => {
    const file = await open(path, 'r');
    const reading = file.read(Buffer.alloc(6), 0, 6, 0);
    await Promise.all([file.close(), file.close()]);
    expect((await reading).bytesRead).to.equal(6);
    const error = await file.stat().catch((fault: unknown) => fault);
    expect(error).to.have.property('code', 'EBADF');
  });

  it('says which file is missing', async () => {
    const error = await open(`${path}.not`, 'r').catch((fault: unknown) => fault);
    expect(error).to.include({ code: 'ENOENT', path: `${path}.not` });
  });
});
