import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Rule } from '../../machines/vocabulary.ts';
import { HOUR, MINUTE } from '../../src/clock.ts';
import type { Idempotency, Report } from '../../src/domain/entries.ts';
import { RecorderError } from '../../src/errors.ts';
import type { BatchedReport } from '../../src/incidents/report-batch.ts';
import type { Recorded } from '../../src/incidents/recorded.ts';
import { EarlyIndex } from '../../src/projections/early-index.ts';
import { operator, parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const KINDS = ['tool_call_burst', 'forbidden_airlock_request', 'prompt_injection'] as const;
const caller = { principal: 'tool-firewall', role: 'reporter', by: 'tool-firewall' } as const;

const repeating: Rule = {
  auto_contain: false,
  actions: ['log_alert'],
  default_severity: 'medium',
  repeat: { same: ['source', 'evidence.ip'], within: HOUR },
};

/** Reports with few values, so that they repeat, fold and replay each other often. */
const reports = fc.record(
  {
    class: fc.constantFrom(...KINDS),
    source: fc.constantFrom('tool-firewall', 'airlock'),
    description: fc.constantFrom('one', 'zwei ä', '𝟛'),
    severity: fc.constantFrom('low', 'critical'),
    evidence: fc.record({ ip: fc.constantFrom('203.0.113.7', '203.0.113.8') }),
    dedup_key: fc.constantFrom('a', 'b'),
  },
  { requiredKeys: ['class', 'source', 'description'] },
);
const batched = fc.record({
  report: reports,
  idempotency: fc.option(fc.record({ key: fc.constantFrom('k', 'l', 'm'), fingerprint: fc.constantFrom('f', 'g') }), {
    nil: undefined,
    freq: 3,
  }),
  bytes: fc.constantFrom(10, 100),
});
/** Batches, and after each how many of the incidents so far are resolved. */
const histories = fc.array(fc.record({ batch: fc.array(batched, { maxLength: 12 }), resolved: fc.nat(2) }), {
  maxLength: 4,
});
const policies = fc.record({
  burst: fc.constantFrom(undefined, { reports: 3, within: MINUTE }),
  report_bytes_per_day: fc.constantFrom(undefined, 500),
  rules: fc.constantFrom({}, { forbidden_airlock_request: repeating }),
  escalate: fc.constantFrom([], [{ class: 'tool_call_burst', reports: 4, within: MINUTE, to: 'critical' } as const]),
});

const report: Report = { class: 'forbidden_airlock_request', source: 'airlock', description: 'POST to example.org' };
const idempotency: Idempotency = { key: 'k', fingerprint: 'f' };

/** The lines of a log, or a document, without what differs from one run to the next. */
const comparable = (text: string): string => {
  const ids: string[] = [];
  const named = (id: string): string => {
    if (!ids.includes(id)) ids.push(id);
    return `INC-${ids.indexOf(id)}`;
  };
  return text
    .replaceAll(/INC-\d{8}-[0-9a-f]{12}/g, named)
    .replaceAll(/"(?:prev_hash|entry_hash|hash)":"[0-9a-f]*"/g, '"hash":""');
};

describe('Recorder.reportAll', () => {
  const directory = temporaryDirectories();
  const opened: Recording[] = [];
  const open = async (options?: Parameters<typeof Recording.open>[1]): Promise<{ home: string; made: Recording }> => {
    const home = directory();
    const made = await Recording.open(home, options);
    opened.push(made);
    return { home, made };
  };
  afterEach(async () => {
    for (const recording of opened.splice(0)) await recording.close();
  });

  const linesIn = (home: string): string[] => readFileSync(Recording.logIn(home), 'utf8').trimEnd().split('\n');
  const shown = (outcome: Recorded | RecorderError): string =>
    outcome instanceof RecorderError
      ? JSON.stringify([outcome.code, outcome.message, outcome.fields])
      : `${outcome.change} ${outcome.incident.version} ${outcome.incident.state} ${outcome.incident.json}`;
  const one = ({ recorder }: Recording, { report: each, idempotency: key, bytes }: BatchedReport) =>
    recorder.report(each, key, bytes, caller).catch((error: unknown) => error as RecorderError);

  it('gives what the same reports give one after the other: entries, incidents and answers', async () => {
    await fc.assert(
      fc.asyncProperty(histories, policies, async (history, policy) => {
        const [together, apart] = [await open(policy as never), await open(policy as never)];
        const answers = { together: [] as string[], apart: [] as string[] };
        const ids = { together: [] as string[], apart: [] as string[] };
        for (const { batch, resolved } of history) {
          const outcomes = await together.made.recorder.reportAll(batch, caller);
          const single: (Recorded | RecorderError)[] = [];
          for (const each of batch) single.push(await one(apart.made, each));
          for (const [name, given] of [
            ['together', outcomes],
            ['apart', single],
          ] as const) {
            answers[name].push(...given.map(shown));
            for (const outcome of given)
              if (!(outcome instanceof RecorderError) && outcome.change === 'created')
                ids[name].push(outcome.incident.id);
          }
          for (const [name, { made }] of [
            ['together', together],
            ['apart', apart],
          ] as const)
            for (const id of ids[name].splice(0, resolved))
              await made.recorder.perform('resolve', { id, caller: operator('ada') });
        }
        expect(comparable(answers.together.join('\n'))).to.equal(comparable(answers.apart.join('\n')));
        expect(comparable(linesIn(together.home).join('\n'))).to.equal(comparable(linesIn(apart.home).join('\n')));
        const incidents = [together, apart].map(({ home, made }) =>
          comparable(
            [...new Set(linesIn(home).flatMap((line) => /INC-\d{8}-[0-9a-f]{12}/.exec(line) ?? []))]
              .map((id) => made.projections.incidents.get(id)?.json ?? id)
              .join('\n'),
          ),
        );
        expect(incidents[0]).to.equal(incidents[1]);
        for (const recording of opened.splice(0)) await recording.close();
      }),
      { numRuns: Number(process.env.BATCH_RUNS ?? 60) },
    );
  }).timeout(300_000);

  it('appends all entries at once', async () => {
    const { made } = await open();
    const appended: number[] = [];
    const append = made.log.append.bind(made.log);
    made.log.append = (drafts) => {
      appended.push(drafts.length);
      return append(drafts);
    };
    const other = { ...report, dedup_key: 'same' };
    const all = [report, other, other, { ...report, class: 'prompt_injection' }] as const;
    const outcomes = await made.recorder.reportAll(all.map((each) => ({ report: each, bytes: 1 })));
    expect(outcomes.map((outcome) => (outcome as Recorded).change)).to.deep.equal([
      'created',
      'created',
      'recurred',
      'created',
    ]);
    expect(appended).to.deep.equal([5]);
  });

  it('shows each occurrence as it was after it, and the incident is what a restart makes of the log', async () => {
    const { home, made } = await open();
    const keyed = { ...report, dedup_key: 'same' };
    const outcomes = await made.recorder.reportAll([keyed, keyed, keyed].map((each) => ({ report: each, bytes: 1 })));
    const incidents = outcomes.map((outcome) => parsed((outcome as Recorded).incident));
    expect(incidents.map(({ occurrences, version }) => [occurrences, version])).to.deep.equal([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    expect(new Set(incidents.map(({ hash }) => hash)).size).to.equal(3);
    await made.close();
    opened.length = 0;
    const again = await Recording.open(home);
    opened.push(again);
    expect(again.incident(incidents[0]!.id)).to.deep.equal(incidents[2]);
  });

  it('replays a key that was used alone, and one that is used twice in it', async () => {
    const { made } = await open();
    const { incident } = await made.recorder.report(report, idempotency);
    const twice = { key: 'twice', fingerprint: 'f' };
    const outcomes = await made.recorder.reportAll([
      { report, idempotency, bytes: 1 },
      { report, idempotency: twice, bytes: 1 },
      { report, idempotency: twice, bytes: 1 },
      { report, idempotency: { key: 'twice', fingerprint: 'g' }, bytes: 1 },
    ]);
    expect(outcomes.map((outcome) => (outcome instanceof RecorderError ? outcome.code : outcome.change))).to.deep.equal(
      ['replayed', 'created', 'replayed', 'idempotency_mismatch'],
    );
    expect((outcomes[0] as Recorded).incident).to.deep.equal(incident);
    expect((outcomes[2] as Recorded).incident).to.deep.equal((outcomes[1] as Recorded).incident);
  });

  it('records nothing when its append is refused, and all of it when it is sent again', async () => {
    const { made } = await open();
    const keyed = { ...report, dedup_key: 'same' };
    const { incident } = await made.recorder.report(keyed);
    const batch = [report, keyed, keyed].map((each, n) => ({
      report: each,
      idempotency: { key: `k${n}`, fingerprint: 'f' },
      bytes: 1,
    }));
    const append = made.log.append.bind(made.log);
    made.log.append = () => Promise.reject(new RecorderError('log_unavailable', 'ENOSPC'));
    const refused = await made.recorder.reportAll(batch).catch((error: unknown) => error as RecorderError);
    expect(refused).to.include({ code: 'log_unavailable' });
    made.log.append = append;
    expect(made.projections.incidents.get(incident.id)?.json).to.equal(incident.json);
    expect(made.projections.statistics.read().total_incidents).to.equal(1);
    const outcomes = await made.recorder.reportAll(batch);
    expect(outcomes.map((outcome) => (outcome as Recorded).change)).to.deep.equal(['created', 'recurred', 'recurred']);
    expect(made.incident(incident.id)).to.include({ occurrences: 3 });
  });

  it('refuses as a whole what is longer in the log than a crash may tear', async () => {
    const { home, made } = await open();
    const before = linesIn(home).length;
    const evidence = { much: Array.from({ length: 650 }, () => 9e15) };
    const reported = { report: { ...report, evidence }, bytes: 1 };
    const refused = await made.recorder
      .reportAll(Array.from({ length: 100 }, () => reported))
      .catch((error: unknown) => error as RecorderError);
    expect(refused).to.include({ code: 'too_large' });
    expect(linesIn(home)).to.have.length(before);
    expect(await made.recorder.reportAll(Array.from({ length: 50 }, () => reported))).to.have.length(50);
    expect(made.projections.statistics.read().total_incidents).to.equal(50);
  });

  it('marks a source that looks like one before it, also before the projections are made', async () => {
    const { made } = await open();
    const batch = ['tool-firewall', 'tool-flrewall'].map((source) => ({ report: { ...report, source }, bytes: 1 }));
    const early = new EarlyIndex();
    await early.read(made.log, () => false);
    Object.defineProperty(made.record.catchUp, 'early', { value: early });
    const outcomes = await made.recorder.reportAll(batch);
    expect(outcomes.map((outcome) => parsed((outcome as Recorded).incident).source_suspicious)).to.deep.equal([
      undefined,
      true,
    ]);
  });

  it('waits with everybody who reports under the same keys, and nobody waits for ever', async () => {
    const { made } = await open({ burst: { reports: 3, within: MINUTE } });
    const keyed = (name: string): Report => ({ ...report, dedup_key: name });
    const names = ['a', 'b', 'c'];
    const batchOf = (order: readonly string[]) =>
      made.recorder.reportAll(
        order.map((name) => ({ report: keyed(name), idempotency: { key: name, fingerprint: 'f' }, bytes: 1 })),
      );
    const work: Promise<unknown>[] = [];
    for (let n = 0; n < 20; n++) {
      work.push(batchOf(names), batchOf(names.toReversed()));
      for (const name of names) work.push(made.recorder.report(keyed(name), { key: `${name}${n}`, fingerprint: 'f' }));
      for (const name of names) work.push(made.recorder.report(keyed(name), { key: name, fingerprint: 'f' }));
    }
    await Promise.all(work);
    expect(made.projections.statistics.read().total_incidents).to.be.at.most(3);
    expect(made.incidents.figures.alive).to.be.at.most(512);
  });
});
