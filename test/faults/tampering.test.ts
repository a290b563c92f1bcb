import { execFile } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { chainEntry, type Head } from '../../src/audit/entry.ts';
import { COMMAND_LINE } from '../support/programs.ts';
import { RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import type { Entry } from '../../src/domain/entries.ts';

/** The line that is tampered with, from 1. */
const AT = 12;

type Lines = readonly string[];

const entryOf = (line: string): Entry => JSON.parse(line) as Entry;

/** What somebody without the key writes in the place of the line behind `before`. */
const forged = (before: string, line: string): string => {
  const { entry_hash: hash, data } = entryOf(before);
  const head: Head = { entries: data.seq, hash };
  return chainEntry(entryOf(line), head, chainHash(Buffer.alloc(32, 1))).line.trimEnd();
};

const edited = (line: string): string => line.replace('"timestamp":"20', '"timestamp":"19');

describe('given a log that was tampered with', () => {
  const directory = temporaryDirectories();
  let log: Buffer;
  let checkpoint: Buffer;
  /** Log and checkpoint as they were before the last reports. */
  let earlier: readonly [Buffer, Buffer];
  let lines: Lines;

  before(async () => {
    const home = new ServiceHome(directory());
    const read = () => [readFileSync(home.log), readFileSync(`${home.log}.checkpoint`)] as const;
    const ledger = new Ledger(200);
    for (const reports of [8, 16]) {
      if (reports === 16) earlier = read();
      const service = await RunningService.start(home);
      await ledger.load(service, () => ledger.accounts.length < reports, 1);
      expect(await service.end()).to.equal(0);
    }
    [log, checkpoint] = read();
    lines = log.toString('utf8').trimEnd().split('\n');
  });

  /** The log with its checkpoint in a directory of its own. */
  const copy = (): ServiceHome => {
    const home = new ServiceHome(directory());
    writeFileSync(home.log, log);
    writeFileSync(`${home.log}.checkpoint`, checkpoint);
    return home;
  };

  it('when it was not, then it verifies', async () => {
    const { entries, damage } = await copy().verify();
    expect(damage).to.equal(undefined);
    expect(entries)
      .to.equal(lines.length)
      .and.be.greaterThan(2 * AT);
  });

  for (const [what, tamper, line, reason] of [
    ['an entry is edited', (all) => all.with(AT - 1, edited(all[AT - 1]!)), AT, /entry_hash does not match/],
    [
      'an entry is edited and hashed again',
      (all) => all.with(AT - 1, forged(all[AT - 2]!, edited(all[AT - 1]!))),
      AT,
      /entry_hash does not match/,
    ],
    ['an entry is deleted', (all) => all.toSpliced(AT - 1, 1), AT, /missing/],
    [
      'an entry is inserted',
      (all) => all.toSpliced(AT - 1, 0, forged(all[AT - 2]!, all[AT - 1]!)),
      AT,
      /entry_hash does not match/,
    ],
    ['an entry is repeated', (all) => all.toSpliced(AT, 0, all[AT - 1]!), AT + 1, /repeated/],
    ['an earlier entry is repeated', (all) => all.toSpliced(AT - 1, 0, all[3]!), AT, /repeated/],
    ['two entries are swapped', (all) => all.with(AT - 1, all[AT]!).with(AT, all[AT - 1]!), AT, /missing/],
    [
      'a key stands twice',
      (all) => all.with(AT - 1, all[AT - 1]!.replace('"data":{', '"data":{"seq":1,')),
      AT,
      /duplicate key/,
    ],
    [
      'a key stands twice at the top',
      (all) => all.with(AT - 1, all[AT - 1]!.replace('"event"', '"event":"service.started","event"')),
      AT,
      /duplicate key/,
    ],
    [
      'a field is added',
      (all) => all.with(AT - 1, all[AT - 1]!.replace('"event"', '"extra":1,"event"')),
      AT,
      /field "extra"/,
    ],
    [
      'a field is taken away',
      (all) => all.with(AT - 1, all[AT - 1]!.replace(/"prev_hash":"\w+",/, '')),
      AT,
      /prev_hash is missing/,
    ],
    ['white space is added', (all) => all.with(AT - 1, all[AT - 1]!.replace('"data":', '"data": ')), AT, /not spelt/],
    ['an empty line is added', (all) => all.toSpliced(AT - 1, 0, ''), AT, /not a line of JSON/],
    ['an entry is written in front of the first', (all) => [all[0]!, ...all], 2, /repeated/],
    ['it is emptied', () => [], 1, /cut off/],
  ] as readonly (readonly [string, (all: Lines) => Lines, number, RegExp])[]) {
    it(`when ${what}, then line ${line} is reported`, async () => {
      const home = copy();
      const tampered = tamper(lines);
      expect(tampered).to.not.deep.equal(lines);
      writeFileSync(home.log, tampered.map((one) => `${one}\n`).join(''));
      const { damage, entries } = await home.verify();
      expect(damage?.line).to.equal(line);
      expect(damage?.reason).to.match(reason);
      expect(entries).to.equal(line - 1);
    });
  }

  it('when its tail is cut off at any byte of the last three entries, then the first line that is not whole is reported', async () => {
    const home = copy();
    let size = log.length;
    for (const line of [lines.length, lines.length - 1, lines.length - 2]) {
      const end = size;
      size -= Buffer.byteLength(lines[line - 1]!) + 1;
      for (let cut = end - 1; cut >= size; cut--) {
        truncateSync(home.log, cut);
        const { damage } = await home.verify();
        expect(damage?.line, `cut to ${cut} bytes`).to.equal(line);
        expect(damage?.reason).to.match(cut === size ? /entries were cut off/ : /not whole/);
      }
    }
  });

  describe('and rolled back together with its checkpoint', () => {
    const rolledBack = (): ServiceHome => {
      const home = copy();
      writeFileSync(home.log, earlier[0]);
      writeFileSync(`${home.log}.checkpoint`, earlier[1]);
      return home;
    };

    const verify = async ({ log: path, key }: ServiceHome, anchor: string) => {
      const args = [COMMAND_LINE, 'verify', '--anchor', anchor, '--key', key, path];
      return new Promise<{ code: number | null; said: string }>((fulfil) => {
        const child = execFile(process.execPath, args, (_, stdout, stderr) => {
          fulfil({ code: child.exitCode, said: stdout + stderr });
        });
      });
    };
    const anchor = (): string => `${lines.length}:${entryOf(lines.at(-1)!).entry_hash}`;

    it('then it verifies by itself, and not against an anchor from outside', async () => {
      const home = rolledBack();
      await home.expectSound();
      const { code, said } = await verify(home, anchor());
      expect(code, said).to.equal(1);
      expect(said).to.match(/rolled back/);
    });

    it('then the anchor of a log that was not rolled back holds', async () => {
      const { code, said } = await verify(copy(), anchor());
      expect(code, said).to.equal(0);
    });
  });
});
