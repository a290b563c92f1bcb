import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readKey } from '../../src/audit/key.ts';
import { RecorderError } from '../../src/errors.ts';

describe('readKey', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'audit-key-'));
    path = join(directory, 'key');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const keyFrom = (content: string | Buffer): Buffer => {
    writeFileSync(path, content, { mode: 0o600 });
    return readKey(path);
  };

  it('strips the white space around a printable key, and none inside it', () => {
    const key = `correct horse  battery staple ${'~'.repeat(8)}`;
    expect(keyFrom(` \t${key}\r\n\n`).toString()).to.equal(key);
  });

  for (const [name, content] of [
    ['with a byte beyond ASCII', Buffer.from(`\n${'k'.repeat(40)}\u00a0\n`, 'latin1')],
    ['with a control character', Buffer.from(`\n${'k'.repeat(20)}\0${'k'.repeat(20)}\n`)],
    ['of two lines', Buffer.from(`\n${'k'.repeat(20)}\n${'k'.repeat(20)}\n`)],
  ] as const) {
    it(`keeps every byte of a key ${name}`, () => {
      expect(keyFrom(content)).to.deep.equal(content);
    });
  }

  it('takes 32 to 4,096 bytes, counted without the white space', () => {
    expect(keyFrom(`${'k'.repeat(32)}\n`)).to.have.length(32);
    expect(keyFrom(`${'k'.repeat(4096)}\n`)).to.have.length(4096);
    expect(() => keyFrom(`${'k'.repeat(31)}\n`)).to.throw(RecorderError, 'of 31 bytes, but it takes 32 to 4096');
    expect(() => keyFrom(`${'k'.repeat(4097)}\n`)).to.throw(RecorderError, 'of 4097 bytes');
    expect(() => keyFrom(' '.repeat(64))).to.throw(RecorderError, 'of 0 bytes');
  });

  it('refuses a file that others can write, and takes one that others can read', () => {
    keyFrom('k'.repeat(32));
    for (const mode of [0o620, 0o602]) {
      chmodSync(path, mode);
      expect(() => readKey(path), mode.toString(8)).to.throw(RecorderError, `run: chmod go-w ${path}`);
    }
    chmodSync(path, 0o644);
    expect(readKey(path)).to.have.length(32);
  });

  it('refuses a symbolic link', () => {
    keyFrom('k'.repeat(32));
    const link = join(directory, 'link');
    symlinkSync(path, link);
    expect(() => readKey(link)).to.throw(RecorderError, 'symbolic link');
  });

  it('does not show the key when it refuses it', () => {
    expect(() => keyFrom('shy'.repeat(9)))
      .to.throw(RecorderError)
      .with.property('message')
      .that.does.not.include('shy');
  });
});
