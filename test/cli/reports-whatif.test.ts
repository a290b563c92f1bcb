import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Rule, Severity } from '../../machines/vocabulary.ts';
import { asksForReports, type ReportChange, ReportsWhatif } from '../../src/cli/reports-whatif.ts';
import { HOUR, SECOND } from '../../src/clock.ts';
import type { Entry, Report } from '../../src/domain/entries.ts';
import type { Escalation } from '../../src/domain/escalation.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

type Options = NonNullable<Parameters<typeof Recording.open>[1]>;

const repeating: Rule = {
  ...BUILT_IN_RULES.prompt_injection,
  repeat: { same: ['source', 'evidence.path'], within: HOUR },
};
const policyOf = ({ escalate = [], rules = {} }: Options) => ({ rules: { ...BUILT_IN_RULES, ...rules }, escalate });

describe('what a policy would have made of the reports in a log', () => {
  const directory = temporaryDirectories();

  /** Records the same under a policy. @returns the entries */
  const record = async (
    options: Options,
    steps: readonly { readonly report: Report; readonly wait: number }[],
  ): Promise<readonly Entry[]> => {
    const home = directory();
    const recording = await Recording.open(home, options);
    try {
      for (const { report, wait } of steps) {
        recording.clock.milliseconds += wait * SECOND;
        parsed((await recording.recorder.report(report)).incident);
      }
    } finally {
      await recording.close();
    }
    const lines = readFileSync(Recording.logIn(home), 'utf8').trimEnd();
    return lines === '' ? [] : lines.split('\n').map((line) => JSON.parse(line) as Entry);
  };

  const triedOn = (entries: readonly Entry[], options: Options, most?: number) => {
    const whatif = new ReportsWhatif(policyOf(options), most);
    const changes: ReportChange[] = entries.flatMap((entry) => whatif.take(entry));
    return { changes, summary: whatif.summary, isCut: whatif.isCut };
  };

  const reports = fc.array(
    fc.record({
      report: fc
        .record({
          class: fc.constantFrom('prompt_injection' as const, 'tool_call_burst' as const),
          source: fc.constantFrom('one', 'two'),
          path: fc.constantFrom('/a', '/b', undefined),
          key: fc.constantFrom(undefined, undefined, 'k'),
          severity: fc.constantFrom<Severity | undefined>(undefined, undefined, 'low', 'critical'),
        })
        .map(({ path, key, severity, ...report }): Report => ({
          ...report,
          description: 'd',
          ...(path === undefined ? {} : { evidence: { path } }),
          ...(key === undefined ? {} : { dedup_key: key }),
          ...(severity === undefined ? {} : { severity }),
        })),
      wait: fc.integer({ min: 0, max: 1200 }),
    }),
    { maxLength: 20 },
  );

  const options: Options = {
    rules: { prompt_injection: repeating },
    escalate: [
      { class: 'prompt_injection', reports: 3, within: 1800 * SECOND, to: 'critical' },
      { class: 'tool_call_burst', reports: 2, within: 600 * SECOND, to: 'high' },
      { class: 'tool_call_burst', reports: 4, within: 3600 * SECOND, to: 'critical' },
    ],
  };

  it('is what the recorder makes of them under that policy', async () => {
    await fc.assert(
      fc.asyncProperty(reports, async (steps) => {
        const plain = await record({}, steps);
        const under = await record(options, steps);
        const { summary } = triedOn(plain, options);
        const opened = (entries: readonly Entry[]) =>
          entries.filter(({ event }) => event === 'incident.reported').length;
        expect(summary.fewer_incidents).to.equal(opened(plain) - opened(under));
        const raisedBy = ({ class: ofClass, reports: most }: Pick<Escalation, 'class' | 'reports'>) =>
          under.filter(
            ({ data }) =>
              'escalated_by' in data && data.escalated_by?.class === ofClass && data.escalated_by.reports === most,
          ).length;
        for (const rule of summary.escalate) expect(rule.incidents).to.equal(raisedBy(rule));
        // Under the policy that was in force nothing would have gone another way.
        expect(triedOn(under, options).changes).to.deep.equal([]);
        expect(triedOn(plain, {}).changes).to.deep.equal([]);
      }),
      { numRuns: 40 },
    );
  });

  it('is listed incident by incident', async () => {
    const report: Report = { class: 'prompt_injection', source: 'a', description: 'd', evidence: { path: '/a' } };
    const steps = Array.from({ length: 3 }, () => ({ report, wait: 30 }));
    const plain = await record({}, steps);
    const ids = plain.flatMap((entry) => (entry.event === 'incident.reported' ? [entry.data.incident] : []));
    const { changes } = triedOn(plain, options);
    const by = { class: 'prompt_injection', reports: 3, within_ms: 1_800_000, to: 'critical' };
    expect(changes).to.deep.equal([
      { id: ids[1], class: 'prompt_injection', occurrence_of: ids[0] },
      { id: ids[2], class: 'prompt_injection', occurrence_of: ids[0] },
      {
        id: ids[0],
        class: 'prompt_injection',
        was: { severity: 'high' },
        would_be: { severity: 'critical' },
        escalated_by: by,
      },
    ]);
    const raised = await record({ escalate: options.escalate! }, steps);
    const [other] = triedOn(raised, { rules: options.rules!, escalate: [] }).changes.slice(-1);
    expect(other).to.deep.include({ was: { severity: 'critical' }, would_be: { severity: 'high' } });
  });

  it('has a bound on what it remembers, and says when that was reached', async () => {
    const steps = Array.from({ length: 12 }, (_, n) => ({
      report: { class: 'prompt_injection', source: 'a', description: 'd', evidence: { path: n % 6 } } as Report,
      wait: 1,
    }));
    const plain = await record({}, steps);
    expect(triedOn(plain, options)).to.nested.include({ 'summary.fewer_incidents': 6, isCut: false });
    expect(triedOn(plain, options, 3)).to.nested.include({ 'summary.fewer_incidents': 0, isCut: true });
  });

  it('is not asked of a policy that has neither', () => {
    expect(asksForReports(policyOf({}))).to.equal(false);
    expect(asksForReports(policyOf({ rules: { prompt_injection: repeating } }))).to.equal(true);
    expect(asksForReports(policyOf({ escalate: options.escalate! }))).to.equal(true);
  });
});
