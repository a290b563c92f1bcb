import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { RecorderError } from '../src/errors.ts';
import { readSecretFile } from '../src/secret-file.ts';

const DEMANDS = { followLinks: false, forbiddenMode: 0o077, permissions: 'is too open' };

describe('readSecretFile', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'secret-file-'));
    path = join(directory, 'secret');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('returns the content and the status of the file', () => {
    writeFileSync(path, 'a secret\n', { mode: 0o600 });
    const { content, stats } = readSecretFile(path, DEMANDS);
    expect(content.toString()).to.equal('a secret\n');
    expect(stats.ino).to.equal(statSync(path, { bigint: true }).ino);
  });

  it('refuses a file that does not exist', () => {
    expect(() => readSecretFile(path, DEMANDS)).to.throw(RecorderError, `${path} is not there`);
    writeFileSync(path, '', { mode: 0o600 });
    expect(() => readSecretFile(join(path, 'below'), DEMANDS)).to.throw(RecorderError, 'is not there');
  });

  it('refuses a directory', () => {
    mkdirSync(path);
    expect(() => readSecretFile(path, DEMANDS)).to.throw(RecorderError, `${path} is not a regular file`);
  });

  it('refuses a mode that is not allowed', () => {
    writeFileSync(path, 'a secret');
    chmodSync(path, 0o640);
    expect(() => readSecretFile(path, DEMANDS)).to.throw(RecorderError, `${path} is too open`);
  });

  it('follows a symbolic link only with followLinks', () => {
    writeFileSync(path, 'a secret', { mode: 0o600 });
    const link = join(directory, 'link');
    symlinkSync(path, link);
    expect(() => readSecretFile(link, DEMANDS)).to.throw(RecorderError, `${link} is a symbolic link`);
    expect(readSecretFile(link, { ...DEMANDS, followLinks: true }).content.toString()).to.equal('a secret');
  });

  it('refuses a file that is too large before reading it', () => {
    writeFileSync(path, 'x'.repeat(16 * 1024 + 1), { mode: 0o600 });
    expect(() => readSecretFile(path, DEMANDS)).to.throw(RecorderError, 'too large');
  });

  it('says that the configuration is at fault', () => {
    expect(() => readSecretFile(path, DEMANDS))
      .to.throw(RecorderError)
      .with.property('code', 'config');
  });
});
