import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { readCheckpoint } from '../../src/audit/checkpoint.ts';
import { markDamage, markedDamage, unmarkDamage } from '../../src/audit/damage-marker.ts';
import { readPosture } from '../../src/audit/signed-posture.ts';
import { readSmallFile } from '../../src/audit/small-file.ts';
import { HASH } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const SECRET = 'the-audit-key-of-this-machine-0123456789';
const GIGABYTES = 3 * 1024 ** 3;

describe('a small file that belongs to the log', () => {
  const directory = temporaryDirectories();

  it('is read as it is, and may not be there', () => {
    const path = join(directory(), 'small');
    expect(readSmallFile(path)).to.equal(undefined);
    writeFileSync(path, 'é\n');
    expect(readSmallFile(path)).to.equal('é\n');
  });

  const PLACED: Readonly<Record<string, (path: string) => void>> = {
    'a link to a secret': (path) => {
      writeFileSync(`${path}.secret`, SECRET);
      symlinkSync(`${path}.secret`, path);
    },
    'a link in a circle': (path) => symlinkSync(path, path),
    'a secret with another line': (path) => writeFileSync(path, `x, line 1: y\n${SECRET}\n`),
    'a named pipe': (path) => execFileSync('mkfifo', [path]),
    'a directory': (path) => mkdirSync(path),
    gigabytes: (path) => {
      writeFileSync(path, '');
      truncateSync(path, GIGABYTES);
    },
  };
  for (const [what, place] of Object.entries(PLACED)) {
    it(`that is ${what} is not the recorder's, and nothing of it is shown`, () => {
      const log = join(directory(), 'audit.jsonl');
      for (const name of ['damage', 'checkpoint', 'posture']) place(`${log}.${name}`);
      expect(markedDamage(log)).to.equal('audit.jsonl.damage is not spelt as the recorder writes it');
      expect(readCheckpoint(log, HASH).fault).to.include('is not spelt as the recorder writes it');
      expect(readPosture(log, HASH).fault).to.include('was not written by the recorder');
    });
  }

  it('that is a socket is not the recorder’s', async () => {
    const path = join(directory(), 'small');
    const server = createServer().listen(path);
    await new Promise((resolve) => server.once('listening', resolve));
    expect(readSmallFile(path)).to.equal('?');
    await new Promise((resolve) => server.close(resolve));
  });

  it('is the note of damage, which says what was found until it is removed', () => {
    const log = join(directory(), 'audit.jsonl');
    markDamage(log, {
      file: 'audit.jsonl',
      line: 3,
      offset: 7,
      reason: 'not «a» line of JSON',
      finding: 'entry_altered',
    });
    expect(markedDamage(log)).to.equal('audit.jsonl, line 3: not «a» line of JSON');
    expect(readFileSync(`${log}.damage`, 'utf8')).to.match(/\n$/);
    unmarkDamage(log);
    expect(markedDamage(log)).to.equal(undefined);
  });
});
