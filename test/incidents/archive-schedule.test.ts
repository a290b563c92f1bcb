import { expect } from 'chai';
import { DAY, HOUR, MINUTE } from '../../src/clock.ts';
import { RecorderError } from '../../src/errors.ts';
import { ArchiveSchedule } from '../../src/incidents/archive-schedule.ts';
import { Archivist, type ArchiveOutcome } from '../../src/incidents/archivist.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const report = { class: 'prompt_injection', source: 'tool-firewall', description: 'x'.repeat(200) } as const;

describe('ArchiveSchedule', () => {
  const directory = temporaryDirectories();
  let recording: Recording;
  let after: number | undefined;
  let isVerified: boolean;
  let failure: Error | undefined;
  let runs: ArchiveOutcome[];
  let schedule: ArchiveSchedule;

  beforeEach(async () => {
    recording = await Recording.open(directory(), { segmentBytes: 6000 });
    [after, isVerified, failure, runs] = [90 * DAY, true, undefined, []];
    const { log, projections, incidents, clock } = recording;
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
    schedule = new ArchiveSchedule({
      log,
      archive: async (before) => {
        if (failure !== undefined) throw failure;
        return archivist.archive(before);
      },
      after: () => after,
      isVerified: () => isVerified,
      clock,
      onArchived: (outcome) => runs.push(outcome),
    });
    await recording.recorder.report({ ...report, class: 'tool_call_burst' });
    for (let n = 0; n < 20; n++) {
      const { id } = (await recording.recorder.report(report)).incident;
      await recording.recorder.perform('resolve', { id });
    }
  });
  afterEach(async () => {
    await schedule.stop();
    await recording.close();
  });

  it('archives what is old enough, by itself, and looks again each hour', async () => {
    await schedule.beat();
    recording.clock.milliseconds += 90 * DAY - MINUTE;
    await schedule.beat();
    expect(runs).to.deep.equal([]);
    recording.clock.milliseconds += 2 * MINUTE;
    await schedule.beat();
    expect(runs, 'the hour is not over').to.deep.equal([]);
    recording.clock.milliseconds += HOUR;
    await schedule.beat();
    expect(runs[0]!.archived.length).to.be.greaterThan(1);
    expect(runs[0]).to.include({ carried: 1 });
    expect(schedule.fault).to.equal(undefined);
  });

  it('waits until the log is verified', async () => {
    isVerified = false;
    recording.clock.milliseconds += 91 * DAY;
    await schedule.beat();
    expect(runs).to.deep.equal([]);
    isVerified = true;
    await schedule.beat();
    expect(runs).to.have.length(1);
  });

  it('does nothing without a time, and follows one that is new', async () => {
    after = undefined;
    recording.clock.milliseconds += 91 * DAY;
    await schedule.beat();
    expect(runs).to.deep.equal([]);
    after = 30 * DAY;
    await schedule.beat();
    expect(runs).to.have.length(1);
  });

  it('says why it failed, and tries again', async () => {
    recording.clock.milliseconds += 91 * DAY;
    failure = new RecorderError('log_unavailable', 'nothing can be moved there');
    await schedule.beat();
    expect(schedule.fault).to.equal('nothing can be moved there (it is tried again)');
    failure = undefined;
    recording.clock.milliseconds += 9 * MINUTE;
    await schedule.beat();
    expect(runs).to.deep.equal([]);
    recording.clock.milliseconds += MINUTE;
    await schedule.beat();
    expect(runs).to.have.length(1);
    expect(schedule.fault).to.equal(undefined);
  });
});
