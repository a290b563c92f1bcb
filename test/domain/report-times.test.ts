import { expect } from 'chai';
import fc from 'fast-check';
import type { IncidentClass } from '../../machines/vocabulary.ts';
import { type CountedReport, MOST_REPORTS, ReportTimes } from '../../src/domain/report-times.ts';

const START = Date.parse('2026-11-22T07:12:00.123Z');

/** Reports with the seconds that passed, and by how many seconds the clock was set, seen or not. */
const reports = fc.array(
  fc.record({
    class: fc.constantFrom<IncidentClass>('prompt_injection', 'tool_call_burst'),
    passed: fc.integer({ min: 0, max: 100 }),
    set: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -10_000, max: 10_000 })),
  }),
  { maxLength: 50 },
);

const counted = (
  given: readonly { class: IncidentClass; passed: number; set: number }[],
): readonly (CountedReport & { at: number })[] => {
  let at = 0;
  let timestamp = START;
  return given.map(({ class: ofClass, passed, set }, index) => {
    at += index === 0 ? 0 : passed;
    timestamp += (passed + set) * 1000;
    return { class: ofClass, timestamp, step: index === 0 ? 0 : set * 1000, at };
  });
};

describe('ReportTimes', () => {
  it('counts what came within a time, whatever the clock was set to', () => {
    fc.assert(
      fc.property(reports, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 200 }), (given, most, within) => {
        const times = new ReportTimes();
        const before: { class: IncidentClass; at: number }[] = [];
        for (const [index, report] of counted(given).entries()) {
          before.push(report);
          const count = before.filter((one) => one.class === report.class && report.at - one.at <= within).length;
          const reached = times.reaches(report.class, most, within * 1000, times.timeOf(report));
          expect(reached).to.equal(count >= most);
          times.take(report, index + 1);
        }
      }),
    );
  });

  it('is the same in one go, in two, and from what was stored between', () => {
    fc.assert(
      fc.property(reports, fc.nat({ max: 50 }), (given, cut) => {
        const all = counted(given);
        const take = (times: ReportTimes, from: number, to: number): ReportTimes => {
          for (const [index, report] of all.entries()) if (index >= from && index < to) times.take(report, index + 1);
          return times;
        };
        const whole = take(new ReportTimes(), 0, all.length);
        const stored = take(take(new ReportTimes(), 0, cut).copy(), cut, all.length);
        const joined = take(new ReportTimes(), 0, cut);
        joined.append(take(new ReportTimes(), cut, all.length));
        for (const other of [stored, joined]) {
          expect(other.latest).to.deep.equal(whole.latest);
          for (const name of ['prompt_injection', 'tool_call_burst'] as const)
            expect(other.recentOf(name)).to.deep.equal(whole.recentOf(name));
        }
      }),
    );
  });

  it('takes no time to have passed when the clock goes back unseen', () => {
    const times = new ReportTimes();
    const first = times.take({ class: 'prompt_injection', timestamp: START, step: 0 }, 1);
    expect(times.take({ class: 'prompt_injection', timestamp: START - 3_600_000, step: 0 }, 2)).to.equal(first);
    expect(times.take({ class: 'prompt_injection', timestamp: START - 3_599_000, step: 0 }, 3)).to.equal(first + 1000);
  });

  it('keeps a bounded number of reports, and can count as many', () => {
    const times = new ReportTimes();
    for (let seq = 1; seq <= 5 * MOST_REPORTS; seq++) {
      times.take({ class: 'prompt_injection', timestamp: START + seq, step: 0 }, seq);
      expect(times.recentOf('prompt_injection').seqs.length).to.be.at.most(2 * MOST_REPORTS);
    }
    const { time = 0 } = times.latest ?? {};
    expect(times.reaches('prompt_injection', MOST_REPORTS, MOST_REPORTS - 1, time + 1)).to.equal(true);
    expect(times.reaches('prompt_injection', MOST_REPORTS, MOST_REPORTS - 2, time + 1)).to.equal(false);
  });

  it('forgets the reports of entries that have left', () => {
    const times = new ReportTimes();
    for (let seq = 1; seq <= 5; seq++) times.take({ class: 'prompt_injection', timestamp: START + seq, step: 0 }, seq);
    const rest = times.without((seq) => seq <= 3);
    expect(rest.recentOf('prompt_injection')).to.deep.equal({ seqs: [4, 5], times: [START + 4, START + 5] });
    expect(rest.latest).to.deep.equal(times.latest);
  });
});
