import { CLASSES, SEVERITIES } from '../../machines/vocabulary.ts';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { DAY, HOUR, MINUTE, timestamp } from '../../src/clock.ts';
import { MOST_SILENCES } from '../../src/domain/silence.ts';
import { RecorderError } from '../../src/errors.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import type { NewSilence } from '../../src/incidents/silence-commands.ts';
import { operator, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT = { class: 'prompt_injection', source: 'tool-firewall', description: 'a test' } as const;

describe('silences', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;

  const open = async (segmentBytes?: number): Promise<void> => {
    recording = await Recording.open(home, segmentBytes === undefined ? {} : { segmentBytes });
  };
  beforeEach(async () => {
    home = directory();
    await open();
  });
  afterEach(() => recording.close());

  const silences = () => recording.record.silences;
  const add = (more: Partial<NewSilence> = {}) =>
    silences().add(
      { source: ['tool-firewall'], until: recording.clock.now() + 2 * HOUR, reason: 'an update', ...more },
      operator('ada'),
    );
  const refusal = async (work: Promise<unknown>): Promise<RecorderError> => {
    try {
      await work;
    } catch (error) {
      if (error instanceof RecorderError) return error;
      throw error;
    }
    throw new Error('it was not refused');
  };
  /** Closes the recording, and opens it at the same time, with its database or without. */
  const again = async (how: 'restart' | 'rebuild', segmentBytes?: number): Promise<void> => {
    const { milliseconds } = recording.clock;
    await recording.close();
    if (how === 'rebuild') {
      for (const suffix of ['', '-wal', '-shm']) rmSync(join(home, `audit.sqlite${suffix}`), { force: true });
    }
    await open(segmentBytes);
    recording.clock.milliseconds = milliseconds;
  };

  it('take words, and no terms, which they would not match', async () => {
    const { code, message } = await refusal(add({ q: 'gateway evidence.ip:203.0.113.7' }));
    expect([code, message]).to.deep.equal([
      'invalid_request',
      'q of a silence takes words, and no terms such as evidence.ip:… or source:…',
    ]);
  });

  it('say who added them and why, and what they match', async () => {
    await recording.recorder.report(REPORT);
    await recording.recorder.report({ ...REPORT, source: 'canary' });
    const now = recording.clock.now();
    const { id, ...silence } = await add({ class: ['prompt_injection'], q: 'test' });
    expect(id).to.match(/^SIL-20261122-[0-9a-f]{12}$/);
    expect(silence).to.deep.equal({
      class: ['prompt_injection'],
      source: ['tool-firewall'],
      severity: [],
      q: 'test',
      from: timestamp(now),
      until: timestamp(now + 2 * HOUR),
      reason: 'an update',
      by: 'ada',
      role: 'operator',
      added_at: timestamp(now),
      state: 'active',
      expires_soon: false,
      matches: 1,
    });
    expect((await silences().list()).map((one) => one.id)).to.deep.equal([id]);
    expect(recording.projections.attention.count(now)).to.equal(1);
  });

  it('stand as the clock says: pending, active, nearly over, expired', async () => {
    const now = recording.clock.now();
    await add({ from: now + HOUR, until: now + 3 * HOUR });
    const standing = async () => (await silences().list()).map(({ state, expires_soon }) => [state, expires_soon])[0];
    expect(await standing()).to.deep.equal(['pending', false]);
    recording.clock.milliseconds = now + HOUR;
    expect(await standing()).to.deep.equal(['active', false]);
    recording.clock.milliseconds = now + 3 * HOUR - 15 * MINUTE + 1;
    expect(await standing()).to.deep.equal(['active', true]);
    recording.clock.milliseconds = now + 3 * HOUR;
    expect(await standing()).to.deep.equal(['expired', false]);
  });

  it('are ended once, and stay so', async () => {
    const { id } = await add();
    const ended = await silences().end(id, 'done', operator('bob'));
    expect([ended.state, ended.ended_by, ended.ended_reason, ended.matches]).to.deep.equal(['ended', 'bob', 'done', 0]);
    const entries = recording.log.status.entries;
    expect(await silences().end(id, 'again', operator('eve'))).to.deep.equal(ended);
    expect(recording.log.status.entries).to.equal(entries);
    expect((await refusal(silences().end('SIL-20261122-000000000000'))).code).to.equal('not_found');
  });

  it('are refused with the field that is wrong', async () => {
    const now = recording.clock.now();
    const why = async (more: Partial<NewSilence>): Promise<string> => (await refusal(add(more))).message;
    expect(await why({ source: [] })).to.match(/class, source, severity, q/);
    const all = [{ class: CLASSES }, { severity: SEVERITIES }, { class: CLASSES, severity: SEVERITIES }];
    for (const one of all) expect(await why({ source: [], ...one })).to.match(/would match every incident/);
    expect(await why({ from: now + HOUR, until: now + HOUR })).to.match(/^until must be later than from/);
    expect(await why({ from: now - HOUR, until: now })).to.match(/^until must be in the future/);
    expect(await why({ until: now - HOUR })).to.match(/^until must be in the future/);
    expect(await why({ until: now + 400 * DAY })).to.match(/^until must be within a year/);
    expect(await why({ from: Date.parse('0000-01-01T00:00:00+23:59') })).to.match(/^from must be within a year/);
    expect(await why({ q: '--' })).to.match(/^q must hold/);
    expect(await why({ reason: 'x'.repeat(5000) })).to.match(/4096 bytes/);
    expect(recording.projections.silences.all()).to.deep.equal([]);
  });

  it('are so many at most; one that is over makes room', async () => {
    const { id } = await add();
    for (let count = 1; count < MOST_SILENCES; count++) await add();
    const { code, status, message, fields } = await refusal(add());
    expect([code, status, fields.limit]).to.deep.equal(['limit_reached', 409, MOST_SILENCES]);
    expect(message).to.include(String(MOST_SILENCES));
    await silences().end(id);
    await add();
    const few = await Promise.allSettled(Array.from({ length: 3 }, () => add()));
    expect(few.map(({ status: how }) => how)).to.deep.equal(['rejected', 'rejected', 'rejected']);
  });

  it('survive a restart, the loss of the database, and the archive of their entries', async () => {
    await again('restart', 6000);
    const { id } = await add({ until: recording.clock.now() + 30 * DAY });
    const ended = await add();
    await silences().end(ended.id, 'done', operator('bob'));
    const before = await silences().list();
    await again('restart', 6000);
    expect(await silences().list()).to.deep.equal(before);
    await again('rebuild', 6000);
    expect(await silences().list()).to.deep.equal(before);

    const reports: string[] = [];
    for (let count = 0; count < 20; count++) {
      reports.push((await recording.recorder.report({ ...REPORT, description: 'x'.repeat(500) })).incident.id);
    }
    for (const report of reports) await recording.recorder.perform('resolve', { id: report });
    recording.clock.milliseconds += 3 * DAY;
    const { log, projections, incidents, clock } = recording;
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
    const { archived } = await archivist.archive(clock.now() - DAY);
    expect(archived[0]?.first_seq).to.equal(1);
    const kept = await silences().list();
    expect(kept.map(({ id: one, state }) => [one, state])).to.deep.equal([
      [ended.id, 'ended'],
      [id, 'active'],
    ]);
    await again('rebuild', 6000);
    expect(await silences().list()).to.deep.equal(kept);
  });
});
