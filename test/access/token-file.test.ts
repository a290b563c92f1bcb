import { chmodSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TokenFile } from '../../src/access/token-file.ts';
import { RecorderError } from '../../src/errors.ts';
import { FixedClock } from '../support/fixed-clock.ts';

const OLD = 'the-old-token-0123456789';
const NEW = 'the-new-token-9876543210';

describe('TokenFile', () => {
  let directory: string;
  let path: string;
  let clock: FixedClock;
  beforeEach(() => {
    clock = new FixedClock();
    directory = mkdtempSync(join(tmpdir(), 'service-token-'));
    path = join(directory, 'token');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (content: string): void => writeFileSync(path, content, { mode: 0o640 });
  const openWith = (content: string): TokenFile => {
    write(content);
    return TokenFile.open(path, 'service token', clock);
  };
  const replaceWith = (content: string): void => {
    writeFileSync(`${path}.new`, content, { mode: 0o640 });
    renameSync(`${path}.new`, path);
  };

  describe('open', () => {
    it('takes 16 to 4,096 characters, white space around them not counted', () => {
      expect(openWith(` ${'t'.repeat(16)}\n`).matches('t'.repeat(16))).to.equal(true);
      expect(openWith(`${'t'.repeat(4096)}\r\n`).matches('t'.repeat(4096))).to.equal(true);
    });

    it('refuses a file that is not there', () => {
      expect(() => TokenFile.open(path, 'service token', clock))
        .to.throw(RecorderError, 'is not there')
        .with.property('code', 'config');
    });

    for (const [name, content, message] of [
      ['an empty file', '', 'is empty'],
      ['a blank file', ' \n\t\n', 'is empty'],
      ['15 characters', `${'t'.repeat(15)}\n\n\n`, 'fewer than 16'],
      ['4,097 characters', 't'.repeat(4097), 'more than 4096'],
      ['a space inside', 'two words of a token', 'printable ASCII without spaces'],
      ['two lines', `${OLD}\n${NEW}\n`, 'printable ASCII without spaces'],
      ['a control character', `${OLD}\0${NEW}`, 'printable ASCII without spaces'],
      ['a letter beyond ASCII', `${OLD}é`, 'printable ASCII without spaces'],
    ] as const) {
      it(`refuses ${name}, and says what to do`, () => {
        expect(() => openWith(content))
          .to.throw(RecorderError, message)
          .with.property('message')
          .that.includes('openssl rand')
          .and.does.not.include(OLD);
      });
    }

    for (const mode of [0o604, 0o602, 0o601]) {
      it(`refuses mode ${mode.toString(8)}`, () => {
        write(OLD);
        chmodSync(path, mode);
        expect(() => TokenFile.open(path, 'service token', clock)).to.throw(RecorderError, `run: chmod o-rwx ${path}`);
      });
    }
  });

  describe('matches', () => {
    it('takes the token and nothing else', () => {
      const token = openWith(`${OLD}\n`);
      expect(token.matches(OLD)).to.equal(true);
      for (const other of [undefined, '', OLD.slice(0, -1), `${OLD}x`, `${OLD}\n`, ` ${OLD}`, OLD.toUpperCase()]) {
        expect(token.matches(other), JSON.stringify(other)).to.equal(false);
      }
    });

    it('given a file replaced by another, takes the new token only', () => {
      const token = openWith(OLD);
      replaceWith(NEW);
      expect(token.matches(NEW)).to.equal(true);
      expect(token.matches(OLD)).to.equal(false);
    });

    it('given a file replaced by one of the same size and time, takes the new token only', () => {
      const token = openWith(OLD);
      utimesSync(path, 1, 1);
      expect(token.matches(OLD)).to.equal(true);
      replaceWith(NEW);
      utimesSync(path, 1, 1);
      expect(token.matches(NEW)).to.equal(true);
      expect(token.matches(OLD)).to.equal(false);
    });

    it('given a file that is gone, takes nothing until it is back', () => {
      const token = openWith(OLD);
      rmSync(path);
      clock.milliseconds += 100;
      expect(token.matches(OLD)).to.equal(false);
      expect(token.matches('')).to.equal(false);
      expect(token.matches(undefined)).to.equal(false);
      write(OLD);
      expect(token.matches(OLD)).to.equal(true);
    });

    it('takes the old token for a tenth of a second at most, and no more once the new one was seen', () => {
      const token = openWith(OLD);
      expect(token.matches(OLD)).to.equal(true);
      replaceWith(NEW);
      clock.milliseconds += 99;
      expect(token.matches(OLD)).to.equal(true);
      clock.milliseconds += 1;
      expect(token.matches(OLD)).to.equal(false);
      replaceWith(OLD);
      expect(token.matches(OLD)).to.equal(true);
      expect(token.matches(NEW)).to.equal(false);
    });

    it('given a file opened to others, takes nothing until it is closed again', () => {
      const token = openWith(OLD);
      chmodSync(path, 0o644);
      clock.milliseconds += 100;
      expect(token.matches(OLD)).to.equal(false);
      chmodSync(path, 0o640);
      expect(token.matches(OLD)).to.equal(true);
    });
  });

  describe('fault', () => {
    it('says why nothing is taken, without showing a token, and ends with the reason', () => {
      const token = openWith(OLD);
      expect(token.fault()).to.equal(undefined);
      replaceWith('stubby');
      expect(token.fault())
        .to.include('no usable service token')
        .and.include('fewer than 16')
        .and.not.include('stubby');
      replaceWith(NEW);
      expect(token.fault()).to.equal(undefined);
    });
  });

  describe('reload', () => {
    it('reads the file and does not throw when it is unusable', () => {
      const token = openWith(OLD);
      replaceWith('');
      token.reload();
      expect(token.matches(OLD)).to.equal(false);
      replaceWith(NEW);
      token.reload();
      expect(token.matches(NEW)).to.equal(true);
    });
  });
});
