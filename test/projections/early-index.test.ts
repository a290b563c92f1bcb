import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { SECOND, timestamp } from '../../src/clock.ts';
import type { Entry, Report } from '../../src/domain/entries.ts';
import { countedIn, type ReportEntry, ReportTimes } from '../../src/domain/report-times.ts';
import { EarlyIndex } from '../../src/projections/early-index.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT: Report = { class: 'tool_call_burst', source: 'tool-firewall', description: 'd' };
const idOf = (text: string): string => createHash('sha256').update(text).digest('hex');
const OTHER = { key: 'another key', fingerprint: 'f' };

const reported = (report: Partial<Report>, more: object = {}): Entry =>
  ({ event: 'incident.reported', data: { incident: 'x', report: { ...REPORT, ...report }, ...more } }) as Entry;

/** An index of these entries, which were all that the log held. */
const indexOf = async (entries: readonly Entry[]): Promise<EarlyIndex> => {
  const index = new EarlyIndex();
  index.take(entries);
  const log = { status: { bytes: 0 }, sealed: [], fileOf: () => ({ path: '/nonexistent', first: 1 }) };
  await index.read(log as never, () => false);
  return index;
};

describe('EarlyIndex', () => {
  const temporaryDirectory = temporaryDirectories();

  it('knows for certain what is new, and never calls new what is in the log', async () => {
    const ids = Array.from({ length: 2000 }, (_, n) => idOf(`known ${n}`));
    const index = await indexOf([
      ...ids.map((id, n) => reported({ dedup_key: `known ${n}` }, { request: { id, digest: 'd' } })),
      reported({}, { idempotency: { key: 'old key', fingerprint: 'f' } }),
    ]);
    for (const [n, id] of ids.entries()) {
      expect(index.isNewRequest({ id, digest: 'd' }, OTHER)).to.equal(false);
      expect(index.isNewDedupKey({ ...REPORT, dedup_key: `known ${n}` }, '')).to.equal(false);
    }
    expect(index.isNewRequest({ id: idOf('x'), digest: 'd' }, { key: 'old key', fingerprint: 'f' })).to.equal(false);
    let seemKnown = 0;
    for (let n = 0; n < 2000; n++) {
      if (!index.isNewRequest({ id: idOf(`new ${n}`), digest: 'd' }, OTHER)) seemKnown++;
      if (!index.isNewDedupKey({ ...REPORT, dedup_key: `new ${n}` }, '')) seemKnown++;
    }
    expect(seemKnown).to.be.lessThan(5);
    expect(index.isNewDedupKey({ ...REPORT, source: 'other', dedup_key: 'known 1' }, '')).to.equal(true);
    expect(index.isNewDedupKey({ ...REPORT, dedup_key: 'known 1' }, 'canary')).to.equal(true);
  });

  it('keeps the keys of each principal apart, and those of the shared token with those of old entries', async () => {
    const index = await indexOf([
      reported({ dedup_key: 'k' }, { principal: 'canary' }),
      reported({ dedup_key: 'shared' }, { principal: 'service-token' }),
    ]);
    const isNew = (dedup_key: string, owner: string) => index.isNewDedupKey({ ...REPORT, dedup_key }, owner);
    expect([isNew('k', 'canary'), isNew('k', ''), isNew('k', 'other')]).to.deep.equal([false, true, true]);
    expect([isNew('shared', ''), isNew('shared', 'canary')]).to.deep.equal([false, true]);
    // Who takes an incident up again has not reported it.
    const reopened = await indexOf([
      reported({ dedup_key: 'k' }, { principal: 'ada', reopens: 'y', reported_by: 'canary' }),
      reported({ dedup_key: 'old' }, { principal: 'ada', reopens: 'z' }),
    ]);
    const knows = (dedup_key: string, owner: string) => !reopened.isNewDedupKey({ ...REPORT, dedup_key }, owner);
    expect([knows('k', 'canary'), knows('k', 'ada'), knows('old', '')]).to.deep.equal([true, false, true]);
    expect(reopened.times?.recentOf('tool_call_burst').seqs).to.deep.equal([]);
  });

  it('calls nothing new until the log was read', () => {
    const index = new EarlyIndex();
    expect(index.isNewRequest({ id: idOf('x'), digest: 'd' }, OTHER)).to.equal(false);
    expect(index.isNewDedupKey({ ...REPORT, dedup_key: 'x' }, '')).to.equal(false);
  });

  it('knows for certain which values were not reported', async () => {
    const key = idOf('values').slice(0, 32);
    const index = await indexOf([reported({}, { repeat: key })]);
    expect([index.isNewRepeat(key), index.isNewRepeat(idOf('others').slice(0, 32))]).to.deep.equal([false, true]);
    expect(new EarlyIndex().isNewRepeat(idOf('others').slice(0, 32))).to.equal(false);
  });

  it('counts reports in the order of the log, whatever was written while it was read', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'audit.jsonl');
    const at = (seq: number): Entry =>
      ({
        timestamp: timestamp(Date.parse('2026-11-22T07:12:00.123Z') + seq * SECOND),
        event: seq % 2 === 0 ? 'incident.reported' : 'incident.recurred',
        data: { seq, incident: 'x', report: REPORT, ...(seq === 4 ? { clock_step_ms: 1000 } : {}) },
      }) as unknown as Entry;
    const seqs = Array.from({ length: 9 }, (_, n) => n + 1);
    const lines = seqs.slice(0, 5).map((seq) => `${JSON.stringify(at(seq))}\n`);
    writeFileSync(path, lines.join(''));
    const index = new EarlyIndex();
    // Written before the reading begins: it is in the file as well.
    index.take([at(5)]);
    index.take([at(6), at(7)]);
    expect(index.times).to.equal(undefined);
    const log = { status: { bytes: lines.join('').length }, sealed: [], fileOf: () => ({ path, first: 1 }) };
    await index.read(log as never, () => false);
    index.take([at(8), at(9)]);
    const expected = new ReportTimes();
    for (const seq of seqs) expected.take(countedIn(at(seq) as ReportEntry), seq);
    const { latest } = expected;
    expect(index.times?.latest).to.deep.equal(latest);
    expect(index.times?.recentOf(REPORT.class)).to.deep.equal(expected.recentOf(REPORT.class));
    expect(expected.recentOf(REPORT.class).seqs).to.deep.equal(seqs);
  });

  it('says which sources look like others, and waits with unusual names until the log was read', async () => {
    const early = new EarlyIndex();
    expect(early.looksLikeAnother('tool-firewall')).to.equal(false);
    expect(early.looksLikeAnother('tооl-firewall')).to.equal(undefined);
    const index = await indexOf([reported({}), reported({ source: 'spoof' }, { source_suspicious: true })]);
    for (const [source, expected] of [
      ['tool-firewall', false],
      ['tool-flrewall', true],
      ['tооl-firewall', true],
      ['spoof', true],
      ['new', false],
    ] as const) {
      expect(index.looksLikeAnother(source), source).to.equal(expected);
    }
  });
});
