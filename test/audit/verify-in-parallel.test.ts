import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { filesOf, verifyFiles } from '../../src/audit/verify.ts';
import { verifyInParallel } from '../../src/audit/verify-in-parallel.ts';
import { generateLog } from '../bench/generate-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const IN_A_FILE = 50;
const KEY = Buffer.from('k'.repeat(32));

/** What may happen to the files of a log. `file` and `at` are shares of how many there are, and of its length. */
const harm = fc.record({
  kind: fc.constantFrom(
    'flip',
    'cut',
    'lose',
    'repeat',
    'empty',
    'swap',
    'checkpoint',
    'drop',
  ) satisfies fc.Arbitrary<Harm>,
  file: fc.double({ min: 0, max: 0.999, noNaN: true }),
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

type Harm = 'flip' | 'cut' | 'lose' | 'repeat' | 'empty' | 'swap' | 'checkpoint' | 'drop';

describe('verifyInParallel', function () {
  this.timeout(120_000);
  const directory = temporaryDirectories();

  const makeLog = async (): Promise<string> => {
    const path = join(directory(), 'audit.jsonl');
    const evidence = { least: 20, most: 60 };
    await generateLog({ incidents: 60, path, hash: chainHash(KEY), evidence });
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    for (let from = 0; from < lines.length; from += IN_A_FILE) {
      const isLast = from + IN_A_FILE >= lines.length;
      const name = isLast ? 'audit.jsonl' : `audit.${String(from + 1).padStart(12, '0')}.jsonl`;
      writeFileSync(join(path, '..', name), `${lines.slice(from, from + IN_A_FILE).join('\n')}\n`);
    }
    return path;
  };

  const copyOf = (log: string): string => {
    const to = directory();
    for (const name of readdirSync(join(log, '..'))) {
      if (name.startsWith('audit')) copyFileSync(join(log, '..', name), join(to, name));
    }
    return join(to, 'audit.jsonl');
  };

  const hurt = (files: readonly string[], kind: Harm, file: number, at: number): void => {
    const path = files[Math.floor(file * files.length)]!;
    if (!existsSync(path)) return;
    const offset = Math.floor(at * statSync(path).size);
    const bytes = readFileSync(path);
    const lines = bytes.toString('latin1').split('\n');
    const line = Math.floor(at * (lines.length - 1));
    const write = (some: readonly string[]): void => writeFileSync(path, some.join('\n'), 'latin1');
    switch (kind) {
      case 'flip':
        bytes[offset]! ^= 1;
        writeFileSync(path, bytes);
        break;
      case 'cut':
        truncateSync(path, offset);
        break;
      case 'lose':
        rmSync(path);
        break;
      case 'repeat':
        write(lines.toSpliced(line, 0, lines[line]!));
        break;
      case 'drop':
        write(lines.toSpliced(line, 1));
        break;
      case 'empty':
        truncateSync(path, 0);
        break;
      case 'swap':
        write(lines.toSpliced(line, 2, lines[line + 1] ?? '', lines[line]!));
        break;
      case 'checkpoint': {
        const checkpoint = `${files.at(-1)!}.checkpoint`;
        if (at < 0.5) rmSync(checkpoint, { force: true });
        else writeFileSync(checkpoint, '{}');
        break;
      }
      default:
        kind satisfies never;
    }
  };

  it('finds exactly what one pass finds, whatever was done to the log', async () => {
    const log = await makeLog();
    const hash = chainHash(KEY);
    const { entries, hash: last } = await verifyFiles(await filesOf(log), hash);
    const anchors = fc.constantFrom(
      undefined,
      { entries, hash: last },
      { entries: 7, hash: last },
      { entries: 999_999, hash: last },
    );
    const property = fc.asyncProperty(
      fc.array(harm, { maxLength: 2 }),
      fc.integer({ min: 2, max: 7 }),
      anchors,
      async (harms, parts, anchor) => {
        const copy = copyOf(log);
        for (const { kind, file, at } of harms) hurt(await filesOf(copy), kind, file, at);
        const files = await filesOf(copy);
        const given = anchor === undefined ? {} : { anchor };
        const found = verifyInParallel(files, KEY, { ...given, parts, isHere: true });
        const expected = verifyFiles(files, hash, given);
        const settled = await Promise.allSettled([expected, found]);
        const [one, other] = settled.map((end) =>
          end.status === 'fulfilled' ? end.value : (end.reason as NodeJS.ErrnoException).code,
        );
        expect(other).to.deep.equal(one);
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });

  it('verifies an intact log in parts alone, also one whose beginning was archived', async () => {
    const log = await makeLog();
    const files = await filesOf(log);
    expect(files.length).to.be.greaterThan(3);
    const whole = await verifyFiles(files, chainHash(KEY));
    expect(whole.damage).to.equal(undefined);
    for (const parts of [2, 3, 5, 16]) {
      let progress = 0;
      const found = await verifyInParallel(files, KEY, {
        parts,
        isHere: true,
        onProgress: (bytes) => (progress = bytes),
      });
      expect(found).to.deep.equal(whole);
      expect(progress).to.equal(whole.bytes);
    }
    const late = await verifyInParallel(files.slice(1), KEY, { parts: 2, isHere: true });
    expect(late).to.deep.equal(await verifyFiles(files.slice(1), chainHash(KEY)));
  });

  it('has workers verify the parts', async () => {
    const log = await makeLog();
    const files = await filesOf(log);
    expect(await verifyInParallel(files, KEY, { parts: 2 })).to.deep.equal(await verifyFiles(files, chainHash(KEY)));
    expect(await verifyInParallel(files, Buffer.from('x'.repeat(32)), { parts: 2 })).to.deep.equal(
      await verifyFiles(files, chainHash(Buffer.from('x'.repeat(32)))),
    );
  });
});
