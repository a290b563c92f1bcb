/** What an incident shows that was carried over, in all of its parts, and which incidents hold back their segment. */
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import type { Rule } from '../../machines/vocabulary.ts';
import { verifyChain } from '../../src/audit/verify-chain.ts';
import { DAY, HOUR } from '../../src/clock.ts';
import type { Caller } from '../../src/domain/caller.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import { HASH } from '../support/audit-log.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const endpoint = { url: parseTargetUrl('http://127.0.0.1:1/')!, action: 'x' };
const target = { engage: endpoint, release: endpoint, drill: true };
const targets = { freeze_agent: target, disable_airlock: target };
const rules: Record<string, Rule> = {
  integrity_violation: {
    auto_contain: true,
    actions: ['freeze_agent', 'disable_airlock', 'log_alert'],
    default_severity: 'medium',
    recovery: { acknowledge: true },
  },
};
const reporter = (name: string): Caller => ({ principal: name, role: 'reporter', by: name });
const grace: Caller = { principal: 'grace', role: 'recovery', by: 'grace' };
const known = { class: 'integrity_violation', source: 'canary', description: 'a', dedup_key: 'k' } as const;
const other = { class: 'prompt_injection', source: 'tool-firewall', description: 'x'.repeat(300) } as const;

describe('An incident with all that there is, in an old segment', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;
  const open = async (): Promise<void> => {
    recording = await Recording.open(home, {
      segmentBytes: 6000,
      rules,
      targets,
      escalate: [{ class: 'integrity_violation', reports: 2, within: HOUR, to: 'critical' }],
    });
  };
  beforeEach(() => {
    home = directory();
    return open();
  });
  afterEach(() => recording.close());
  const fill = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const { id } = (await recording.recorder.report(other)).incident;
      recording.clock.milliseconds += HOUR;
      await recording.recorder.perform('resolve', { id });
    }
  };
  const archive = () => {
    const { log, projections, incidents, clock } = recording;
    return new Archivist({ log, projections, incidents, clock, isVerified: () => true }).archive(clock.now() - DAY);
  };
  const reopen = async (meanwhile: () => void = () => {}): Promise<void> => {
    const { milliseconds, off } = recording.clock;
    await recording.close();
    meanwhile();
    await open();
    recording.clock.milliseconds = milliseconds;
    recording.clock.off = off;
  };
  const rebuild = (): Promise<void> =>
    reopen(() => {
      for (const suffix of ['', '-wal', '-shm']) rmSync(join(home, `audit.sqlite${suffix}`), { force: true });
    });
  const tables = async (): Promise<string> => {
    let text = '';
    await reopen(() => {
      const database = new DatabaseSync(join(home, 'audit.sqlite'), { readOnly: true });
      const names = database
        .prepare(
          `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
        )
        .all();
      text = names
        .map(
          ({ name }) =>
            `${String(name)} ${database
              .prepare(`SELECT * FROM ${String(name)}`)
              .all()
              .map((row) => JSON.stringify(row))
              .toSorted()
              .join()}`,
        )
        .join('\n');
      database.close();
    });
    return text;
  };
  const difference = async (): Promise<string | undefined> => {
    const { log, projections } = recording;
    const proof = projections.proof(log, projections.tables);
    const rest = (): Promise<void> => Promise.resolve();
    await verifyChain([...log.sealed, log.fileOf(Infinity)], HASH, (entries) => proof.take(entries));
    return (await proof.end(rest, [])) ?? (await proof.endLater(rest));
  };
  const expectSameAfterRebuild = async (): Promise<void> => {
    const before = await tables();
    await rebuild();
    expect(await tables()).to.equal(before);
    expect(await difference()).to.equal(undefined);
  };
  const lasting = (incident: Incident | undefined): object => ({ ...incident, version: 0, hash: '' });

  it('is the same when it is carried over, after a rebuild, and to its end', async () => {
    const { recorder, incidents } = recording;
    const { id } = parsed((await recorder.report(known, { key: 'i', fingerprint: 'f' }, 0, reporter('one'))).incident);
    const mine = parsed((await recorder.report(known, undefined, 0, reporter('two'))).incident);
    expect(mine.id).to.not.equal(id);
    await recorder.report(known, undefined, 0, reporter('one'));
    const deliver = { type: 'deliver', directive: 'engage' } as const;
    const receipt = { by: 'answer', status: 200 } as const;
    const actor = incidents.actor(id);
    await actor.send({ ...deliver, action: 'freeze_agent', news: { type: 'confirmed', attempted: true, receipt } });
    await actor.send({ ...deliver, action: 'disable_airlock', news: { type: 'refused', error: 'answered 422: no' } });
    await recording.record.recoveries.acknowledge(id, grace);
    const before = recording.incident(id);
    expect(before).to.include.keys('escalated_by', 'latest_report', 'reporters', 'reported_by', 'dedup_key');
    expect(before?.recovery?.missing).to.deep.equal([]);
    expect(before?.containment_results).to.have.length(3);
    await fill(40);
    expect(await archive()).to.deep.include({ staying: [], carried: 2 });
    const after = recording.incident(id);
    expect(lasting(after)).to.deep.equal(lasting(before));
    expect(await difference()).to.equal(undefined);
    await expectSameAfterRebuild();
    expect(recording.incident(id)).to.deep.equal(after);

    const again = async (caller?: Caller): Promise<string> =>
      parsed((await recording.recorder.report(known, undefined, 0, caller)).incident).id;
    expect(await again(reporter('two')), 'the key belongs to its principal').to.equal(mine.id);
    expect(await again()).to.not.be.oneOf([mine.id, id]);
    expect(await recording.recorder.perform('resolve', { id }), 'its recovery is done').to.include({ change: 'moved' });
    await fill(80);
    await archive();
    expect(recording.incident(id)).to.equal(undefined);
    await expectSameAfterRebuild();
    for (const name of readdirSync(join(home, 'archive'))) renameSync(join(home, 'archive', name), join(home, name));
    await expectSameAfterRebuild();
  });

  it('that is a drill stays with its segment until its releases are settled', async () => {
    const { incident } = await recording.recorder.drill({ class: 'integrity_violation', asks: () => true });
    const { id } = incident;
    const settle = async (directive: 'engage' | 'release'): Promise<void> => {
      const receipt = { by: 'answer', status: 200 } as const;
      for (const action of ['freeze_agent', 'disable_airlock'] as const) {
        const news = { type: 'confirmed', attempted: true, receipt } as const;
        await recording.incidents.actor(id).send({ type: 'deliver', directive, action, news });
      }
    };
    await settle('engage');
    await recording.recorder.perform('resolve', { id });
    await fill(40);
    const { staying, carried } = await archive();
    expect(staying[0]?.reason).to.equal(`the drill ${id} is not over`);
    expect(carried).to.equal(0);
    expect(recording.incident(id)?.drill).to.equal(true);
    expect(await difference()).to.equal(undefined);
    await expectSameAfterRebuild();
    await settle('release');
    await fill(40);
    expect(await archive()).to.deep.include({ staying: [] });
    expect(recording.incident(id)).to.equal(undefined);
    await expectSameAfterRebuild();
  });
});
