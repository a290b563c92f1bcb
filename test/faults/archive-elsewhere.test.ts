import { mkdirSync, readdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { verifyLog } from '../../src/audit/verify.ts';
import { HOUR } from '../../src/clock.ts';
import { type ArchiveOutcome, Archivist } from '../../src/incidents/archivist.ts';
import { HASH } from '../support/audit-log.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { mounts } from './support/mounts.ts';
import { needs } from './support/needs.ts';

const report = { class: 'prompt_injection', source: 'tool-firewall', description: 'x'.repeat(200) } as const;

describe('given an archive', () => {
  const directory = temporaryDirectories();
  const mounted = mounts();
  needs('mount');
  let home: string;
  let elsewhere: string;
  let recording: Recording;
  let id: string;

  beforeEach(async () => {
    home = directory();
    recording = await Recording.open(home, { segmentBytes: 6000 });
    for (let n = 0; n < 30; n++) {
      const { incident } = await recording.recorder.report(report);
      await recording.recorder.perform('resolve', { id: incident.id });
      if (n === 0) id = incident.id;
    }
    recording.clock.milliseconds += 48 * HOUR;
    elsewhere = mounted.tmpfs(1024 * 1024);
    symlinkSync(elsewhere, join(home, 'archive'));
  });
  afterEach(() => recording.close());

  const archive = (): Promise<ArchiveOutcome> => {
    const { log, projections, incidents, clock } = recording;
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
    return archivist.archive(clock.now() - 24 * HOUR);
  };

  it('on another file system than the log, then nothing changes, and it goes on when it is on the same', async () => {
    const { entries } = recording.log.status;
    const names = readdirSync(home);
    for (let run = 1; run <= 2; run++) {
      const refusal = await archive().catch((error: unknown) => error);
      expect(refusal).to.have.property('code', 'log_unavailable');
      expect(refusal).to.have.property(
        'message',
        `nothing can be moved to ${join(home, 'archive')}: it is on another file system than the log (EXDEV)`,
      );
    }
    expect(recording.log.status.entries, 'no entry is written').to.equal(entries);
    expect(readdirSync(home), 'nothing is left behind').to.have.members(names);
    expect(readdirSync(elsewhere)).to.deep.equal([]);
    expect(recording.projections.incidents.has(id), 'nothing leaves the record').to.equal(true);

    unlinkSync(join(home, 'archive'));
    mkdirSync(join(home, 'archive'));
    expect((await archive()).archived).to.not.deep.equal([]);
    expect(recording.projections.incidents.has(id)).to.equal(false);
    await recording.log.close();
    expect((await verifyLog(Recording.logIn(home), HASH)).damage).to.equal(undefined);
  });
});
