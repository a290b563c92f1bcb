import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { verifyLog } from '../../src/audit/verify.ts';
import { HOUR } from '../../src/clock.ts';
import { readEntry } from '../../src/domain/entries.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { CatchUp } from '../../src/projections/catch-up.ts';
import { Database, databasePath } from '../../src/projections/database.ts';
import { Projections } from '../../src/projections/projections.ts';
import { Search } from '../../src/projections/search.ts';
import { generateLog } from '../bench/generate-log.ts';
import { draft, HASH } from '../support/audit-log.ts';
import { eventually } from '../support/eventually.ts';
import { FixedClock } from '../support/fixed-clock.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const SEGMENT = 3 * 1024 * 1024;
const report = { class: 'prompt_injection', source: 'tool-firewall', description: 'x'.repeat(10_000) } as const;

describe('rebuilding the projections from a log', () => {
  const directory = temporaryDirectories();

  const mergeSome = Object.getOwnPropertyDescriptor(Search.prototype, 'mergeSome')!;

  /** The entries of a log with so many incidents. */
  const entriesOf = async (incidents: number, evidence: { readonly least: number; readonly most: number }) => {
    const log = join(directory(), 'audit.jsonl');
    await generateLog({ incidents, path: log, hash: HASH, evidence });
    let offset = 0;
    return readFileSync(log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => {
        const length = Buffer.byteLength(line) + 1;
        offset += length;
        return { ...readEntry(line), offset: offset - length, length };
      });
  };

  it('takes it that an archived segment is missing in the midst of what is applied at a time', async () => {
    const home = directory();
    const recording = await Recording.open(home, { segmentBytes: SEGMENT });
    const { recorder, incidents, log, clock, projections } = recording;
    const reported = async (): Promise<string> => (await recorder.report(report)).incident.id;
    const resolved = async (id: string): Promise<void> => void (await recorder.perform('resolve', { id }));

    // The first segment stays, as this one is from the future.
    const now = clock.milliseconds;
    clock.milliseconds = Date.parse('2099-01-01T00:00:00Z');
    await reported();
    clock.milliseconds = now;
    while (log.sealed.length < 1) await log.append([draft('x'.repeat(50_000))]);
    // The second leaves, and the third begins with what became of some of its incidents.
    const unresolved: string[] = [];
    while (log.sealed.length < 2) unresolved.push(await reported());
    for (const id of unresolved) await resolved(id);
    const before = clock.now() + 1;
    clock.milliseconds += 48 * HOUR;
    while (log.sealed.length < 4) await resolved(await reported());
    const archivist = new Archivist({ log, incidents, projections, clock, isVerified: () => true });
    const { archived, staying } = await archivist.archive(before);
    expect([archived.length, staying.length > 0]).to.deep.equal([1, true]);
    expect(await verifyLog(Recording.logIn(home), HASH)).to.not.have.property('damage');
    const statistics = projections.statistics.read();
    await recording.close();

    for (const name of readdirSync(home)) if (name.includes('.sqlite')) rmSync(join(home, name));
    const rebuilt = await Recording.open(home, { segmentBytes: SEGMENT });
    expect(rebuilt.projections.statistics.read()).to.deep.equal(statistics);
    await rebuilt.close();
  });

  for (const [evidence, title] of [
    [60, 'held until more is known'],
    [64_000, 'held until there is too much of them'],
  ] as const)
    it(`comes to the same whether incidents are stored after each page or ${title}`, () => same(evidence));

  const same = async (most: number): Promise<void> => {
    const entries = await entriesOf(150, { least: Math.floor(most / 3), most });
    const rows = (isHeld: (page: number) => boolean): unknown => {
      const path = join(directory(), 'audit.sqlite');
      const projections = new Projections(path);
      for (let at = 0; at < entries.length; at += 40) {
        projections.catchUp(entries.slice(at, at + 40), isHeld(at / 40));
        if (at === 200) projections.flush();
      }
      projections.close();
      const database = new DatabaseSync(path);
      const names = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'search%'`);
      const tables = names.all().map(({ name }) =>
        database
          .prepare(`SELECT * FROM ${String(name)}`)
          .all()
          .map((row) => JSON.stringify(row))
          .toSorted(),
      );
      const found = database.prepare(`SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid`);
      const words = ['session', 'retry', 'byada', 'seen', 'looked', 'secritical'].map((word) => found.all(word));
      database.close();
      return [tables, words];
    };
    const expected = rows(() => false);
    expect(rows(() => true)).to.deep.equal(expected);
    expect(rows((page) => page % 3 !== 0)).to.deep.equal(expected);
  };

  it('holds no more of them than it may, however many come at a time', async () => {
    const entries = await entriesOf(4000, { least: 20, most: 60 });
    const projections = new Projections(join(directory(), 'audit.sqlite'));
    const seen = new Set<string>();
    for (let at = 0; at < entries.length; at += 2500) {
      const page = entries.slice(at, at + 2500);
      projections.catchUp(page, true);
      for (const { data } of page) if ('incident' in data) seen.add(data.incident);
      const held = [...seen].filter((id) => !projections.incidents.has(id));
      expect(held.length).to.be.at.most(2048);
    }
    expect(seen.size).to.be.at.least(4000);
    projections.close();
  });

  it('keeps what was applied when there is no room to merge parts of the search index', async () => {
    const recording = await Recording.open(directory());
    const { projections, recorder } = recording;
    try {
      Search.prototype.mergeSome = () => {
        throw new Error('database or disk is full');
      };
      const { incident } = await recorder.report(report);
      expect(projections.flush()).to.equal(true);
      expect(projections.fault).to.equal(undefined);
      expect(projections.unfinished).to.equal(false);
      expect(projections.incidents.has(incident.id)).to.equal(true);
    } finally {
      Object.defineProperty(Search.prototype, 'mergeSome', mergeSome);
      await recording.close();
    }
  });

  it('does not go on to merge the search index while much waits to be compacted', async () => {
    const entries = await entriesOf(700, { least: 60_000, most: 64_000 });
    const projections = new Projections(join(directory(), 'audit.sqlite'));
    let merges = 0;
    const take = (taken: typeof entries): void => {
      projections.catchUp(taken);
      projections.flush();
      merges = 0;
    };
    try {
      Search.prototype.mergeSome = () => (merges += 1) > 0;
      take(entries.slice(0, 10));
      await eventually(() => merges > 1);
      take(entries.slice(10));
      await pause(200);
      expect(merges).to.be.at.most(1);
    } finally {
      Object.defineProperty(Search.prototype, 'mergeSome', mergeSome);
      projections.close();
    }
  });

  describe('when the database refuses a commit between two pages of the log', () => {
    const commit = Object.getOwnPropertyDescriptor(Database.prototype, 'commit')!;
    const restore = (): unknown => Object.defineProperty(Database.prototype, 'commit', commit);
    afterEach(restore);
    /** As on a disk that is full just then. */
    const refuseCommit = (projections: Projections): void => {
      Database.prototype.commit = () => {
        throw new Error('database or disk is full');
      };
      projections.flush();
      restore();
    };

    const REPORTS = 60;

    it('then what follows is not taken over the gap, and the next time all of it is', async () => {
      const recording = await Recording.open(directory());
      for (let made = 0; made < REPORTS; made++) await recording.recorder.report(report);
      const { log, projections } = recording;
      projections.reset();
      recording.fallBehind();
      let pages = 0;
      const catchUp = new CatchUp(projections, () => {
        pages += 1;
        if (pages === 2) refuseCommit(projections);
      });

      await catchUp.resume(log);
      expect(pages).to.equal(2);
      expect(projections.unfinished).to.equal(true);
      expect(projections.position.seq).to.equal(0);
      await catchUp.resume(log);
      expect(projections.unfinished).to.equal(false);
      expect(projections.position).to.include({ seq: log.status.entries, gaps: false });
      expect(projections.statistics.read().total_incidents).to.equal(REPORTS);
      await recording.close();
    });

    it('then a start takes nothing more, and leaves the rest for later', async () => {
      const path = directory();
      const recorded = await Recording.open(path);
      for (let made = 0; made < 5 * REPORTS; made++) await recorded.recorder.report(report);
      await recorded.close();
      rmSync(databasePath(Recording.logIn(path)));

      const projections = new Projections(databasePath(Recording.logIn(path)));
      const clock = new FixedClock();
      let told = 0;
      const catchUp = new CatchUp(projections, () => {
        told += 1;
        if (told === 1) refuseCommit(projections);
      });
      await catchUp.recover({ path: Recording.logIn(path), hash: HASH, clock });
      expect(told).to.equal(1);
      expect(projections.unfinished).to.equal(true);
      expect(projections.position.seq).to.equal(0);
      projections.close();
    });
  });
});
