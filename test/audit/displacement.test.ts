import {
  appendFileSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { AuditLog } from '../../src/audit/log.ts';
import { MOST_KEPT } from '../../src/audit/kept-copies.ts';
import { verifyFiles, verifyLog } from '../../src/audit/verify.ts';
import type { Entry } from '../../src/domain/entries.ts';
import { draft, HASH, noteOf, openLog } from '../support/audit-log.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const SEGMENT_BYTES = 2000;

describe('given a log whose file is taken away while it is written', () => {
  const directory = temporaryDirectories();

  /** A running log with five entries. */
  const running = async (segmentBytes = Infinity) => {
    const path = join(directory(), 'audit.jsonl');
    const opened = await openLog(path, HASH, segmentBytes);
    for (let n = 1; n <= 5; n++) await opened.log.append([draft(`entry ${n}`)]);
    return { ...opened, path };
  };
  const entriesIn = (path: string): readonly Entry[] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Entry);
  const namesLike = (path: string, what: string): readonly string[] =>
    readdirSync(join(path, '..')).filter((name) => name.includes(what));
  const eventsOf = (entries: readonly Entry[]): readonly string[] => entries.map(({ event }) => event);
  const append = (log: AuditLog, note: string) => log.append([draft(note)]);

  const CASES: readonly [what: string, takeAway: (path: string) => void, how: string, keeps: boolean][] = [
    ['removed', (path) => rmSync(path), 'removed', false],
    ['renamed', (path) => renameSync(path, `${path}.1`), 'removed', false],
    [
      'replaced by a copy of itself',
      (path) => {
        copyFileSync(path, `${path}.copy`);
        renameSync(`${path}.copy`, path);
      },
      'replaced',
      true,
    ],
    [
      'replaced by a directory',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
      'replaced',
      true,
    ],
    [
      'moved away behind a link',
      (path) => {
        renameSync(path, `${path}.1`);
        symlinkSync(`${path}.1`, path);
      },
      'replaced',
      true,
    ],
    ['written to by another', (path) => appendFileSync(path, 'foreign\n'), 'extended', true],
  ];
  for (const [what, takeAway, how, keeps] of CASES) {
    for (const noticed of ['by the next entry', 'within a second'] as const) {
      it(`${what}, noticed ${noticed}, then it is put back, with all that was acknowledged`, async () => {
        const { log, path, durable } = await running();
        takeAway(path);
        if (noticed === 'by the next entry') {
          await append(log, 'after');
          expect(entriesIn(path).map(noteOf)).to.include('after');
        } else await log.probe();
        await append(log, 'later');
        await append(log, 'last');
        const entries = entriesIn(path);
        expect(entries.map(({ data }) => data.seq)).to.deep.equal(durable.map(({ data }) => data.seq));
        const restored = entries.find(({ event }) => event === 'log.restored');
        expect(restored?.data).to.include({ file: 'audit.jsonl', how });
        expect(eventsOf(entries)).to.include.members(['log.damage_found', 'alert.raised']);
        const kept = namesLike(path, '.replaced-');
        expect(kept).to.have.length(keeps ? 1 : 0);
        if (keeps) expect(restored?.data).to.include({ kept_as: kept[0] });
        await log.close();
        expect(await verifyLog(path, HASH))
          .to.include({ entries: durable.length })
          .and.not.have.property('damage');
      });
    }
  }

  it('removed right before it closes, then it is put back', async () => {
    const { log, path } = await running();
    rmSync(path);
    await log.close();
    expect(eventsOf(entriesIn(path))).to.include('log.restored');
    expect(await verifyLog(path, HASH)).to.not.have.property('damage');
  });

  it('again and again, then each time it is put back', async () => {
    const { log, path, durable } = await running();
    for (let n = 0; n < 5; n++) {
      rmSync(path);
      await append(log, `after ${n}`);
    }
    await log.close();
    expect(eventsOf(durable).filter((event) => event === 'log.restored')).to.have.length(5);
    expect(await verifyLog(path, HASH)).to.not.have.property('damage');
  });

  it('and there is no place for it, then reports are refused until there is', async () => {
    const { log, path } = await running();
    rmSync(path);
    // A directory that is not empty takes the name of the new file.
    mkdirSync(join(`${path}.next`, 'in the way'), { recursive: true });
    const refused = await append(log, 'after').catch((error: unknown) => error);
    expect(refused).to.have.property('code', 'log_unavailable');
    expect(log.status.state).to.equal('blocked');
    rmSync(`${path}.next`, { recursive: true });
    await log.probe();
    expect(log.status.state).to.equal('open');
    await append(log, 'later');
    await log.close();
    const entries = entriesIn(path);
    expect(entries.map(noteOf)).to.include('later').and.not.include('after');
    expect(eventsOf(entries)).to.include.members(['log.restored', 'log.resumed']);
    expect(await verifyLog(path, HASH)).to.not.have.property('damage');
  });

  for (const [what, cut] of [
    ['to nothing', () => 0],
    ['in the middle', (size: number) => Math.floor(size / 2)],
    ['by one byte', (size: number) => size - 1],
  ] as const) {
    for (const noticed of ['by the next entry', 'within a second'] as const) {
      describe(`cut ${what}, noticed ${noticed}`, () => {
        const lose = async (segmentBytes?: number) => {
          const opened = await running(segmentBytes);
          const { log, path } = opened;
          const copy = `${path}.1`;
          copyFileSync(path, copy);
          const { entries } = log.status;
          truncateSync(path, cut(statSync(path).size));
          if (noticed === 'within a second') await log.probe();
          const [after] = await append(log, 'after');
          return { ...opened, copy, entries, after };
        };

        it('then the log continues in a new file, which says what was lost', async () => {
          const { log, path, entries, after } = await lose();
          const [first, found, alert, next] = entriesIn(path);
          expect(first).to.include({ event: 'log.lost' });
          expect(first?.data).to.include({ seq: entries + 1, first_seq: 1, last_seq: entries });
          expect([found?.event, alert?.event]).to.deep.equal(['log.damage_found', 'alert.raised']);
          expect(found?.data).to.include({ finding: `entries_lost:1-${entries}` });
          expect(next).to.deep.include({ entry_hash: after?.entry_hash });
          expect(namesLike(path, '.truncated-')).to.have.length(1);
          await log.close();
        });

        it('then verification says what is missing, and given the copy that the log holds', async () => {
          const { log, path, copy, entries } = await lose();
          await log.close();
          const { missing, damage } = await verifyLog(path, HASH);
          expect(damage).to.equal(undefined);
          expect(missing).to.have.length(1);
          expect(missing[0]).to.include({ first_seq: 1, last_seq: entries });
          expect(await verifyFiles([copy, path], HASH))
            .to.deep.include({ missing: [] })
            .and.not.have.property('damage');
        });

        it('then a start goes on from there, also with the checkpoint from before', async () => {
          const { log, path, after } = await lose();
          const head = log.status.last_hash;
          expect(head).to.equal(after?.entry_hash);
          for (let start = 0; start < 2; start++) {
            const again = await openLog(path);
            expect(again.recovered).to.not.have.property('damage');
            expect(again.recovered.missing).to.deep.equal([]);
            await append(again.log, `start ${start}`);
            await again.log.close();
          }
          await log.close();
        });

        it('then nothing that was in sealed segments is lost', async () => {
          const { log, path, entries } = await lose(SEGMENT_BYTES);
          await log.close();
          const { missing, damage } = await verifyLog(path, HASH);
          expect(damage).to.equal(undefined);
          expect(missing[0]).to.include({ last_seq: entries });
          expect(log.sealed.every((segment) => existsSync(segment.path))).to.equal(true);
        });
      });
    }
  }

  it('and its checkpoint is removed, then that is written again', async () => {
    const { log, path, durable } = await running();
    await log.probe();
    rmSync(`${path}.checkpoint`);
    await log.probe();
    expect(existsSync(`${path}.checkpoint`)).to.equal(true);
    expect(durable.find(({ event }) => event === 'log.restored')?.data).to.include({
      file: 'audit.jsonl.checkpoint',
      how: 'removed',
    });
    await log.close();
  });

  it('and its checkpoint is replaced, then the other is kept', async () => {
    const { log, path, durable } = await running();
    await log.probe();
    writeFileSync(`${path}.checkpoint`, '{}');
    await log.probe();
    expect(namesLike(path, 'checkpoint.replaced-')).to.have.length(1);
    expect(eventsOf(durable)).to.include('log.restored');
    await log.close();
    expect(await verifyLog(path, HASH)).to.not.have.property('damage');
  });

  it('and its file has a second name, then the status says so', async () => {
    const { log, path } = await running();
    linkSync(path, `${path}.link`);
    await log.probe();
    expect(log.status.links).to.equal(2);
    rmSync(`${path}.link`);
    await append(log, 'after');
    expect(log.status.links).to.equal(1);
    await log.close();
  });

  for (const [what, takeAway, event] of [
    ['replaced', (path: string) => appendFileSync(path, 'foreign\n'), 'log.restored'],
    ['truncated', (path: string) => truncateSync(path), 'log.lost'],
  ] as const) {
    it(`and ${what} again and again, then the first copies are kept, and it says of the others that they are not`, async () => {
      const { log, path, durable } = await running();
      const first = (): string => readFileSync(join(path, '..', namesLike(path, `.${what}-`)[0]!), 'utf8');
      let kept = '';
      for (let n = 0; n < MOST_KEPT + 4; n++) {
        takeAway(path);
        await append(log, `after ${n}`);
        if (n === 0) kept = first();
      }
      expect(namesLike(path, `.${what}-`)).to.have.length(MOST_KEPT);
      expect(first()).to.equal(kept);
      await log.close();
      const mended = durable.filter((entry) => entry.event === event);
      expect(mended.map(({ data }) => 'kept_as' in data)).to.deep.equal([
        ...Array.from({ length: MOST_KEPT }, () => true),
        ...Array.from({ length: 4 }, () => false),
      ]);
      const details = durable.flatMap(({ data }) => ('detail' in data ? [data.detail] : []));
      expect(details.filter((detail) => detail.includes('was not kept'))).to.have.length(4);
      expect(await verifyLog(path, HASH)).to.not.have.property('damage');
    });
  }

  it('and its checkpoint is replaced again and again, then the first copies are kept', async () => {
    const { log, path } = await running();
    await log.probe();
    for (let n = 0; n < MOST_KEPT + 4; n++) {
      writeFileSync(`${path}.checkpoint`, '{}');
      await log.probe();
    }
    expect(namesLike(path, 'checkpoint.replaced-')).to.have.length(MOST_KEPT);
    await log.close();
    expect(await verifyLog(path, HASH)).to.not.have.property('damage');
  });

  it('and what is in its place is larger than all that is kept, then only the first is', async () => {
    const { log, path } = await running();
    for (let n = 0; n < 2; n++) {
      writeFileSync(`${path}.large`, '');
      truncateSync(`${path}.large`, 300 * 1024 * 1024);
      renameSync(`${path}.large`, path);
      await append(log, `after ${n}`);
    }
    expect(namesLike(path, '.replaced-')).to.have.length(1);
    await log.close();
  });

  it('and a sealed segment is taken away or replaced, then that is found after a few looks', async () => {
    const { log, path, durable } = await running(SEGMENT_BYTES / 2);
    for (let n = 0; n < 16; n++) await append(log, `more ${n}`);
    const [, second, third, fourth, ...others] = log.sealed;
    const foundIn = () => durable.flatMap(({ event, data }) => (event === 'log.damage_found' ? [data.finding] : []));
    await log.probe();
    expect(foundIn()).to.deep.equal([]);
    rmSync(second!.path);
    rmSync(third!.path);
    for (let n = 0; n < 4; n++) await log.probe();
    await append(log, 'after');
    expect(foundIn()).to.deep.equal([`entries_missing:${second!.first}-${fourth!.first - 1}`]);
    // For a moment only, as when it is archived.
    renameSync(fourth!.path, `${path}.away`);
    await log.probe();
    renameSync(`${path}.away`, fourth!.path);
    for (let n = 0; n < 4; n++) await log.probe();
    await append(log, 'later');
    expect(foundIn()).to.have.length(1);
    writeFileSync(others[0]!.path, readFileSync(others[0]!.path), { flag: 'r+' });
    await log.probe();
    await append(log, 'last');
    expect(foundIn().slice(1)).to.deep.equal(['segment_replaced']);
    await log.close();
    expect((await verifyLog(path, HASH)).damage).to.include({ finding: 'entries_missing' });
  });
});
