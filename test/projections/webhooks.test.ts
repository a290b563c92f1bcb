import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { HOUR, timestamp } from '../../src/clock.ts';
import type { Draft, ParkedEntry } from '../../src/domain/entries.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { draft } from '../support/audit-log.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const SEGMENT = 64 * 1024;
const URLS = { one: 'http://127.0.0.1:1#11111111', other: 'http://127.0.0.1:2' };
const TIME = '2026-11-22T07:12:00.123Z';

const parked = (seq: number, attempts = 3): ParkedEntry => ({
  seq,
  event: 'alert.raised',
  since: TIME,
  attempts,
  waited_ms: 1000 * attempts,
});
const delivered = (url: string, through_seq: number, ...list: readonly ParkedEntry[]): Draft => ({
  timestamp: TIME,
  event: 'notification.delivered',
  data: { url, through_seq, ...(list.length === 0 ? {} : { parked: list }) },
});
const skipped = (url: string, seq: number): Draft => ({
  timestamp: TIME,
  event: 'webhook.skipped',
  data: {
    url,
    skipped_seq: seq,
    skipped_event: 'alert.raised',
    since: TIME,
    attempts: 9,
    waited_ms: 9000,
    error: 'answered 500',
  },
});
const retried = (url: string, seq: number): Draft => ({
  timestamp: TIME,
  event: 'webhook.retried',
  data: { url, retried_seq: seq, retried_event: 'alert.raised', by: 'ada' },
});

describe('what webhooks have taken, as the projections have it', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;

  beforeEach(async () => {
    home = directory();
    recording = await Recording.open(home, { segmentBytes: SEGMENT });
  });
  afterEach(() => recording.close());

  const read = () => ({
    one: recording.projections.current().takenBy(URLS.one),
    other: recording.projections.current().takenBy(URLS.other),
    skipped: recording.projections.webhooks.skipped().map(({ webhook, seq }) => `${seq} for ${webhook}`),
  });

  /** Makes the database again from the log. */
  const rebuild = async (): Promise<void> => {
    await recording.close();
    for (const name of readdirSync(home)) if (name.includes('.sqlite')) rmSync(join(home, name));
    recording = await Recording.open(home, { segmentBytes: SEGMENT });
  };

  it('follows what is parked, skipped and sent again, each webhook by itself', async () => {
    const { log, projections } = recording;
    await log.append([delivered(URLS.one, 5, parked(2), parked(4)), delivered(URLS.other, 3)]);
    expect(read()).to.deep.equal({
      one: { seq: 5, parked: [parked(2), parked(4)] },
      other: { seq: 3, parked: [] },
      skipped: [],
    });
    await log.append([skipped(URLS.one, 2), skipped(URLS.other, 2)]);
    expect(read()).to.deep.include({ one: { seq: 5, parked: [parked(4)] } });
    expect(projections.webhooks.countSkipped(URLS.one)).to.equal(1);
    expect(projections.current().skippedFor(URLS.one, 2)).to.include({
      attempts: 9,
      parked_at: TIME,
      skipped_at: TIME,
    });
    expect(projections.current().skippedFor(URLS.one, 4)).to.equal(undefined);
    await log.append([retried(URLS.one, 2)]);
    const whole = {
      one: { seq: 5, parked: [{ ...parked(2, 0) }, parked(4)] },
      other: { seq: 3, parked: [] },
      skipped: [`2 for ${URLS.other}`],
    };
    expect(read()).to.deep.equal(whole);
    await rebuild();
    expect(read()).to.deep.equal(whole);
  });

  it('keeps what one with a format has told besides, also when its entries have left with the archive', async () => {
    const { log, incidents, projections, clock } = recording;
    const notices = { repeated_at: TIME, groups: [['0123456789ab', 7, TIME]] } as const;
    const told = (through_seq: number): Draft => ({
      timestamp: TIME,
      event: 'notification.delivered',
      data: { url: URLS.one, through_seq, notices },
    });
    await log.append([delivered(URLS.one, 4), told(5), skipped(URLS.one, 2), retried(URLS.one, 3)]);
    const whole = { seq: 5, parked: [parked(3, 0)], notices };
    expect(read().one).to.deep.equal(whole);
    await log.append([delivered(URLS.one, 6), told(6)]);
    while (log.sealed.length < 2) await log.append([draft('x'.repeat(20_000))]);
    clock.milliseconds += 48 * HOUR;
    const archivist = new Archivist({ log, incidents, projections, clock, isVerified: () => true });
    await archivist.archive(clock.now() - 24 * HOUR);
    expect(read().one).to.deep.include({ seq: 6, notices });
    await rebuild();
    expect(read().one).to.deep.include({ seq: 6, notices });
    // It is sent entries from now on.
    await recording.log.append([delivered(URLS.one, 7)]);
    expect(read().one).to.deep.equal({ seq: 7, parked: [] });
  });

  it('lists the newest hundred that were skipped', async () => {
    await recording.log.append(Array.from({ length: 105 }, (_, index) => skipped(URLS.one, index + 1)));
    const list = recording.projections.webhooks.skipped();
    expect([list.length, list[0]?.seq, list.at(-1)?.seq]).to.deep.equal([100, 6, 105]);
  });

  it('lists a thousand of all webhooks, those that the policy does not name any more included', async () => {
    for (let url = 0; url < 12; url++) {
      const name = `http://127.0.0.1:${9000 + url}#0123456789abcdef`;
      await recording.log.append(Array.from({ length: 100 }, (_, index) => skipped(name, 1 + 100 * url + index)));
    }
    const list = recording.projections.webhooks.skipped();
    expect([list.length, list[0]?.seq, list.at(-1)?.seq]).to.deep.equal([1000, 201, 1200]);
  });

  it('outlives the archive, but for entries that have left with it', async () => {
    const { log, incidents, projections, clock } = recording;
    const filler = (): Draft => draft('x'.repeat(20_000));
    await log.append([
      delivered(URLS.one, 900, parked(700)),
      skipped(URLS.one, 1),
      skipped(URLS.one, 800),
      skipped(URLS.one, 801),
      delivered(URLS.one, 901, parked(700)),
    ]);
    while (log.sealed.length < 2) await log.append([filler()]);
    clock.milliseconds += 48 * HOUR;
    const now = timestamp(clock.now());
    await log.append([{ ...retried(URLS.one, 801), timestamp: now }]);
    const archivist = new Archivist({ log, incidents, projections, clock, isVerified: () => true });
    const { archived } = await archivist.archive(clock.now() - 24 * HOUR);
    expect(archived.length).to.be.at.least(1);
    const whole = {
      one: { seq: 901, parked: [parked(700), { ...parked(801, 0), since: now }] },
      other: undefined,
      skipped: [`800 for ${URLS.one}`],
    };
    expect(read()).to.deep.equal(whole);
    await rebuild();
    expect(read()).to.deep.equal(whole);
  });
});
