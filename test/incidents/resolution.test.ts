import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readListQuery } from '../../src/api/incidents/list-query.ts';
import { HOUR } from '../../src/clock.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { databasePath } from '../../src/projections/database.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT = { class: 'tool_call_burst', source: 'agent', description: 'calls' } as const;

describe('the resolution of an incident', () => {
  const directory = temporaryDirectories();

  it('is kept in entry, incident and statistics, and is the same when they are rebuilt', async () => {
    const home = directory();
    const recording = await Recording.open(home);
    const ids: string[] = [];
    for (const resolution of ['false_positive', 'false_positive', 'duplicate', undefined] as const) {
      const { incident } = await recording.recorder.report(REPORT);
      await recording.recorder.perform('resolve', { id: incident.id, ...(resolution && { resolution }) });
      ids.push(incident.id);
    }
    const counts = { true_positive: 0, false_positive: 2, benign: 0, duplicate: 1 };
    expect(recording.projections.statistics.read().by_resolution).to.deep.equal(counts);
    expect(recording.incident(ids[0]!)?.resolution).to.equal('false_positive');
    expect(recording.incident(ids[3]!)).not.to.have.property('resolution');
    const unchanged = await recording.recorder.perform('resolve', { id: ids[0]!, resolution: 'benign' });
    expect(unchanged.change).to.equal('unchanged');
    await recording.close();

    const log = Recording.logIn(home);
    const last = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"incident.resolved"'));
    expect(last.map((line) => (JSON.parse(line) as { data: { resolution?: string } }).data.resolution)).to.deep.equal([
      'false_positive',
      'false_positive',
      'duplicate',
      undefined,
    ]);
    for (const end of ['', '-wal', '-shm']) rmSync(join(`${databasePath(log)}${end}`), { force: true });
    const again = await Recording.open(home);
    expect(again.projections.statistics.read().by_resolution).to.deep.equal(counts);
    expect(again.incident(ids[2]!)?.resolution).to.equal('duplicate');
    await again.close();
  });

  it('filters the list, alone and with words', async () => {
    const recording = await Recording.open(directory());
    const ids: string[] = [];
    for (const [at, resolution] of (['benign', 'duplicate', 'benign', undefined] as const).entries()) {
      const { incident } = await recording.recorder.report({ ...REPORT, description: `calls ${at}` });
      await recording.recorder.perform('resolve', { id: incident.id, ...(resolution && { resolution }) });
      ids.push(incident.id);
    }
    const listed = (query: string): readonly string[] =>
      recording.projections.list
        .read(readListQuery(query, 0))
        .documents.map((document) => (JSON.parse(Buffer.from(document).toString()) as { id: string }).id);
    expect(listed('resolution=benign')).to.deep.equal([ids[2], ids[0]]);
    expect(listed('resolution=benign&resolution=duplicate&limit=2')).to.deep.equal([ids[2], ids[1]]);
    expect(listed('resolution=benign&q=calls+0')).to.deep.equal([ids[0]]);
    expect(listed('resolution=true_positive')).to.deep.equal([]);
    expect(listed('q=benign')).to.deep.equal([]);
    expect(() => readListQuery('resolution=wontfix', 0)).to.throw('invalid resolution');
    await recording.close();
  });

  it('leaves the statistics with its incident', async () => {
    const recording = await Recording.open(directory(), { segmentBytes: 1500 });
    for (let count = 0; count < 6; count += 1) {
      const { incident } = await recording.recorder.report(REPORT);
      await recording.recorder.perform('resolve', { id: incident.id, resolution: 'benign' });
    }
    const before = recording.projections.statistics.read();
    recording.clock.milliseconds += 48 * HOUR;
    const { log, projections, incidents, clock } = recording;
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
    const { archived } = await archivist.archive(clock.now() - 24 * HOUR);
    expect(archived).not.to.have.lengthOf(0);
    const after = recording.projections.statistics.read();
    expect(after.by_resolution.benign).to.equal(after.by_state.resolved);
    expect(before.by_resolution.benign).to.equal(6);
    await recording.close();
  });
});
