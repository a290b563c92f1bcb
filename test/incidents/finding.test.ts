import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readListQuery } from '../../src/api/incidents/list-query.ts';
import { HOUR } from '../../src/clock.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { databasePath } from '../../src/projections/database.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT = { class: 'tool_call_burst', source: 'agent', description: 'calls' } as const;

describe('what is searched for', () => {
  const directory = temporaryDirectories();

  const listed = (recording: Recording, query: string): readonly string[] =>
    recording.projections.list
      .read(readListQuery(query, 0, { evidence: true }))
      .documents.map((json) => (JSON.parse(Buffer.from(json).toString()) as Incident).id);

  const similarTo = (recording: Recording, id: string, limit = 10) =>
    recording.projections.similar
      .find(id, limit)!
      .map(({ json, same }) => [(JSON.parse(json) as Incident).id, same.map(({ path }) => path).join()]);

  const report = async (recording: Recording, evidence: object, more: object = {}): Promise<string> => {
    recording.clock.milliseconds += 1000;
    const { incident } = await recording.recorder.report({ ...REPORT, evidence, ...more } as never);
    return incident.id;
  };

  it('is the same when it is rebuilt from the log, in words, terms and orders', async () => {
    const home = directory();
    let recording = await Recording.open(home, { segmentBytes: 1000 });
    const one = await report(recording, { ip: '203.0.113.7', process: { name: 'bash' } });
    const two = await report(recording, { ip: '203.0.113.8', process: { name: 'bash' } }, { dedup_key: 'k' });
    await report(recording, { ip: '203.0.113.7' }, { dedup_key: 'k' });
    await recording.recorder.perform('acknowledge', { id: two, note: 'looked' });
    recording.clock.milliseconds += 1000;
    await recording.recorder.perform('resolve', { id: one });
    const questions: readonly (readonly [string, readonly string[]])[] = [
      ['q=evidence.ip:203.0.113.7&sort=created', [one, two]],
      ['q=evidence.ip:203.0.113.8', [two]],
      ['q=bash&sort=-created', [two, one]],
      ['q=looked', [two]],
      ['sort=-updated', [one, two]],
      ['sort=state', [two, one]],
      [`q=id:${one}`, [one]],
      [`q=${encodeURIComponent(`id:${one} id:${two}`)}`, []],
    ];
    for (let round = 0; round < 2; round++) {
      for (const [query, ids] of questions) expect(listed(recording, query), query).to.deep.equal(ids);
      expect(similarTo(recording, one)).to.deep.equal([[two, 'process.name,ip']]);
      await recording.close();
      const database = databasePath(Recording.logIn(home));
      for (const end of ['', '-wal', '-shm']) rmSync(join(`${database}${end}`), { force: true });
      recording = await Recording.open(home, { segmentBytes: 1000 });
    }
    await recording.close();
  });

  it('leaves with what is archived', async () => {
    const recording = await Recording.open(directory(), { segmentBytes: 1500 });
    const ids: string[] = [];
    for (let count = 0; count < 6; count += 1) {
      const id = await report(recording, { word: 'gone', count });
      await recording.recorder.perform('resolve', { id });
      ids.push(id);
    }
    recording.clock.milliseconds += 48 * HOUR;
    const { log, projections, incidents, clock } = recording;
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
    await archivist.archive(clock.now() - 24 * HOUR);
    const left = ids.filter((id) => recording.incident(id) !== undefined);
    expect(left.length).to.be.lessThan(6);
    expect(listed(recording, 'q=evidence.word:gone&sort=created')).to.deep.equal(left);
    expect(listed(recording, 'q=gone&sort=updated')).to.deep.equal(left);
    await recording.close();
  });

  it('is similar by how many values are the same, then by how rare they are, then the newest', async () => {
    const recording = await Recording.open(directory());
    const own = await report(recording, { tool: 'shell', ip: '203.0.113.7', n: 1, list: ['a', 'b'] });
    const common = [
      await report(recording, { tool: 'shell' }),
      await report(recording, { tool: 'shell' }),
      await report(recording, { tool: 'shell' }),
    ];
    const rare = await report(recording, { ip: '203.0.113.7' });
    const both = await report(recording, { tool: 'shell', ip: '203.0.113.7', n: '1' });
    await report(recording, { n: '1', other: 'shell' });
    await report(recording, {});
    expect(similarTo(recording, own)).to.deep.equal([
      [both, 'tool,ip'],
      [rare, 'ip'],
      ...common.toReversed().map((id) => [id, 'tool']),
    ]);
    expect(similarTo(recording, own, 2)).to.have.length(2);
    expect(recording.projections.similar.find('INC-20261122-000000000000', 2)).to.equal(undefined);
    await recording.close();
  });

  it('is cut where it is much, which the answer says', async () => {
    const recording = await Recording.open(directory());
    await report(recording, { many: Array.from({ length: 65 }, (_, at) => `v${at}`) });
    const unsearched = (query: string) =>
      recording.projections.list.read(readListQuery(query, 0, { evidence: true })).unsearched;
    expect([
      unsearched('q=v1'),
      unsearched('q=evidence.many:v64'),
      unsearched('q=by:ada'),
      unsearched(''),
    ]).to.deep.equal([['evidence'], ['evidence'], undefined, undefined]);
    await recording.close();
  });
});
