import { expect } from 'chai';
import { readLinesAt } from '../../../src/audit/log-reader.ts';
import { loadWhereabouts, partsVisited } from '../../../src/console/statecharts/path.ts';
import type { IncidentEntry } from '../../../src/domain/entries.ts';
import { Recording } from '../../support/recording.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

describe('the path of an incident in the console’s chart', () => {
  const directory = temporaryDirectories();

  it('is the one that the statechart takes', async () => {
    const recording = await Recording.open(directory());
    const report = { class: 'tool_call_burst', source: 'tool-firewall', description: '400 calls' } as const;
    const { id } = (await recording.recorder.report({ ...report, dedup_key: 'k' })).incident;
    await recording.recorder.report({ ...report, dedup_key: 'k' });
    await recording.recorder.perform('acknowledge', { id });
    await recording.recorder.perform('resolve', { id });
    const { places } = recording.projections.entriesOf(id)!;
    const lines = await readLinesAt(recording.log, places);
    const entries = lines.map((line) => JSON.parse(line.toString()) as IncidentEntry);
    const whereaboutsOf = await loadWhereabouts();

    const taken = ['open:always', 'contained:recur', 'contained:acknowledge', 'acknowledged:resolve'];
    for (const [index] of entries.entries()) {
      expect([...whereaboutsOf(entries.slice(0, index + 1))!.taken]).to.deep.equal(taken.slice(0, index + 1));
    }
    const end = whereaboutsOf(entries)!;
    expect([...end.possible]).to.deep.equal([]);
    expect([...partsVisited(end)]).to.have.members(['open', 'contained', 'acknowledged', 'resolved']);
    expect([...whereaboutsOf(entries.slice(0, 2))!.possible]).to.include.members([
      'contained:acknowledge',
      'contained:resolve',
      'contained:recur',
      'contained:delivery',
    ]);
    await recording.close();
  });

  it('is unknown when the entries contradict the statechart', async () => {
    const whereaboutsOf = await loadWhereabouts();
    expect(whereaboutsOf([])).to.equal(undefined);
    const orphan = { event: 'incident.resolved', data: { seq: 2, incident: 'INC-1', version: 2, state: 'resolved' } };
    expect(whereaboutsOf([orphan as unknown as IncidentEntry])).to.equal(undefined);
  });
});
