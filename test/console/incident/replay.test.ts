import { expect } from 'chai';
import { readLinesAt } from '../../../src/audit/log-reader.ts';
import { loadFold, recordAfter } from '../../../src/console/incident/replay.ts';
import { operator, parsed, Recording } from '../../support/recording.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import type { IncidentEntry } from '../../../src/domain/entries.ts';

describe('replaying an incident in the browser', () => {
  const directory = temporaryDirectories();

  it('comes to what the service has on record, after each entry', async () => {
    const recording = await Recording.open(directory());
    const report = { class: 'forbidden_airlock_request', source: 'airlock', description: 'a host' } as const;
    const then = [(await recording.recorder.report({ ...report, dedup_key: 'k' })).incident];
    const { id } = then[0]!;
    const key = { key: 'again', fingerprint: 'f' };
    then.push((await recording.recorder.report({ ...report, dedup_key: 'k' }, key)).incident);
    then.push(
      (await recording.recorder.perform('acknowledge', { id, caller: operator('ada'), note: 'seen' })).incident,
    );
    then.push((await recording.recorder.perform('resolve', { id, caller: operator('ada') })).incident);
    const { places } = recording.projections.entriesOf(id)!;
    const entries = (await readLinesAt(recording.log, places)).map(
      (line) => JSON.parse(line.toString()) as IncidentEntry,
    );
    const fold = await loadFold();
    for (const document of then) {
      expect(recordAfter(fold, entries, document.version).incident).to.deep.equal(parsed(document));
    }
    await recording.close();
  });
});
