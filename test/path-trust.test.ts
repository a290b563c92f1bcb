import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { RecorderError } from '../src/errors.ts';
import { requireSafeLogDirectory, requireSafeWay, requireSeparateReaders } from '../src/path-trust.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

/** Nobody on this machine. */
const STRANGER = 4301;
const GROUP = 4242;

/** Runs what takes the rights of root: to give files to others. */
const asRoot = process.geteuid!() === 0 ? it : it.skip;

describe('who can change or read the files of the service', () => {
  const directory = temporaryDirectories();
  let home: string;

  const make = (name: string, mode: number, gid = 0, uid = process.geteuid!()): string => {
    const path = join(home, name);
    writeFileSync(path, 'k'.repeat(32));
    if (gid !== 0 || uid !== process.geteuid!()) chownSync(path, uid, gid);
    chmodSync(path, mode);
    return path;
  };

  beforeEach(() => {
    home = directory();
  });

  describe('the way to a file', () => {
    it('may lead through /tmp, whose files only their owners can rename', () => {
      requireSafeWay(join(home, 'not-there', 'file'));
    });

    it('leads through no directory that everybody can write', () => {
      mkdirSync(join(home, 'open'));
      chmodSync(join(home, 'open'), 0o777);
      expect(() => requireSafeWay(join(home, 'open/file'))).to.throw(RecorderError, `run: chmod go-w ${home}/open`);
    });

    asRoot('leads through no directory that a group of others can write, nor one of another user', () => {
      mkdirSync(join(home, 'grouped'));
      chownSync(join(home, 'grouped'), 0, GROUP);
      chmodSync(join(home, 'grouped'), 0o775);
      expect(() => requireSafeWay(join(home, 'grouped/file'))).to.throw(RecorderError, `chmod go-w ${home}/grouped`);
      chmodSync(join(home, 'grouped'), 0o750);
      requireSafeWay(join(home, 'grouped/file'));
      chownSync(join(home, 'grouped'), STRANGER, 0);
      expect(() => requireSafeWay(join(home, 'grouped/file'))).to.throw(RecorderError, `belongs to user ${STRANGER}`);
      requireSafeWay(join(home, 'grouped/file'), join(home, 'grouped/file'));
    });

    it('is checked through symbolic links, each directory between them too', () => {
      mkdirSync(join(home, 'open'));
      mkdirSync(join(home, 'closed'), { mode: 0o700 });
      symlinkSync(join(home, 'closed'), join(home, 'open/second'));
      symlinkSync(join(home, 'open/second'), join(home, 'first'));
      requireSafeWay(join(home, 'first/file'));
      chmodSync(join(home, 'open'), 0o777);
      expect(() => requireSafeWay(join(home, 'first/file'))).to.throw(RecorderError, `${home}/open, on the way`);
    });

    it('ends where links lead round in a circle', () => {
      symlinkSync(join(home, 'round'), join(home, 'round'));
      expect(() => requireSafeWay(join(home, 'round'))).to.throw(RecorderError, 'too many symbolic links');
    });
  });

  describe('the log’s directory', () => {
    it('is written by nobody else', () => {
      requireSafeLogDirectory(join(home, 'log'), false);
      chmodSync(home, 0o1777);
      for (const shared of [false, true]) {
        expect(() => requireSafeLogDirectory(join(home, 'log'), shared)).to.throw(RecorderError, `chmod go-w ${home}`);
      }
    });

    asRoot('is written by a group only where that is allowed', () => {
      chownSync(home, 0, GROUP);
      chmodSync(home, 0o770);
      expect(() => requireSafeLogDirectory(join(home, 'log'), false)).to.throw(
        RecorderError,
        'ALLOW_SHARED_LOG_DIRECTORY=1',
      );
      requireSafeLogDirectory(join(home, 'log'), true);
      chownSync(home, STRANGER, 0);
      expect(() => requireSafeLogDirectory(join(home, 'log'), true)).to.throw(RecorderError, `user ${STRANGER}`);
    });

    for (const name of [
      'log.jsonl',
      'log.jsonl.checkpoint',
      'log.sqlite',
      'log.sqlite-wal',
      'log.000000000012.jsonl',
    ]) {
      it(`holds no directory as ${name}`, () => {
        mkdirSync(join(home, name));
        expect(() => requireSafeLogDirectory(join(home, 'log.jsonl'), false)).to.throw(
          RecorderError,
          `${join(home, name)} is not a regular file`,
        );
      });
    }

    it('may hold anything else', () => {
      for (const name of ['archive', 'log.jsonl.copies', 'logs']) mkdirSync(join(home, name));
      requireSafeLogDirectory(join(home, 'log.jsonl'), false);
    });
  });

  describe('the audit key', () => {
    it('is not open to everybody', () => {
      const [key, token] = [make('key', 0o444), make('token', 0o600)];
      expect(() => requireSeparateReaders(key, token, join(home, 'log'))).to.throw(RecorderError, `chmod o-rwx ${key}`);
    });

    asRoot('is not read by the group of the token or of the log', () => {
      const key = make('key', 0o440, GROUP);
      const log = make('log', 0o640);
      const [own, shared] = [make('own', 0o640, GROUP + 1), make('shared', 0o640, GROUP)];
      requireSeparateReaders(key, own, log);
      expect(() => requireSeparateReaders(key, shared, log)).to.throw(
        RecorderError,
        /which may also read the token;.*0400/,
      );
      chmodSync(shared, 0o600);
      requireSeparateReaders(key, shared, log);
      chownSync(log, 0, GROUP);
      expect(() => requireSeparateReaders(key, own, log)).to.throw(RecorderError, 'may also read the log');
      chmodSync(key, 0o400);
      requireSeparateReaders(key, own, log);
    });

    asRoot('does not belong to another user', () => {
      const key = make('key', 0o400, 0, STRANGER);
      expect(() => requireSeparateReaders(key, make('token', 0o600), join(home, 'log'))).to.throw(
        RecorderError,
        `belongs to user ${STRANGER}`,
      );
    });
  });
});
