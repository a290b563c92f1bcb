import { randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { expect } from 'chai';
import { databasePath } from '../../src/projections/database.ts';
import { type RunningService, runningServices, ServiceHome, type StartOptions } from '../support/running-service.ts';
import { answering, type Behaviour, dyingInMidAnswer, hanging, listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { ContainmentLedger } from './support/containment-ledger.ts';
import { rounds } from './support/length.ts';
import { needs } from './support/needs.ts';
import { expectSameTables, readTables } from './support/tables.ts';
import { traced } from './support/traced.ts';
import { until } from './support/until.ts';

const done = answering(200, '{"success":true}');

describe('given a recorder that is killed while it carries containment out', () => {
  const start = runningServices();
  const directory = temporaryDirectories();
  const listen = listeningTargets();

  const prepared = async (...behaviours: Behaviour[]) => {
    const target = await listen(0, ...behaviours);
    const ledger = new ContainmentLedger(target);
    const home = new ServiceHome(directory());
    const env = ledger.policyIn(home);
    const begin = (options: StartOptions = {}): Promise<RunningService> =>
      start(home, { ...options, env: { ...options.env, ...env } });
    return { target, ledger, home, begin };
  };
  type Prepared = Awaited<ReturnType<typeof prepared>>;

  /** What must hold in the end: all is carried out, and the log alone says the same. */
  const expectCarriedOut = async ({ target, ledger, home, begin }: Prepared): Promise<void> => {
    target.behaviours = [done];
    const service = await begin();
    await ledger.settle(service);
    await ledger.expectCarriedOut(service);
    expect(await service.end()).to.equal(0);
    await home.expectSound();
    const database = databasePath(home.log);
    const before = readTables(database);
    for (const suffix of ['', '-wal', '-shm']) rmSync(database + suffix, { force: true });
    const again = await begin();
    await ledger.expectCarriedOut(again);
    expect(await again.end()).to.equal(0);
    expectSameTables(readTables(database), before);
  };

  const deliveryOf = async (service: RunningService, id: string) =>
    (await service.get(`/api/v1/incidents/get?id=${id}`)).json.containment.actions[0];

  it('at random instants, by services that answer as they like, then all of it is carried out in the end', async function () {
    const kills = rounds(10, 200);
    this.timeout(kills * 15_000);
    const moody: Behaviour = (...args) => {
      const behaviour = [done, done, done, done, done, answering(500), hanging, dyingInMidAnswer][randomInt(8)]!;
      behaviour(...args);
    };
    const all = await prepared(moody);
    for (let kill = 0; kill < kills; kill++) {
      const service = await all.begin();
      const load = all.ledger.load(service);
      await after(randomInt(20, 400));
      service.process.kill('SIGKILL');
      await load;
      await service.end('SIGKILL');
    }
    expect(all.ledger.acknowledged.size).to.be.greaterThan(kills);
    expect(all.ledger.asked.length).to.be.greaterThan(kills);
    await expectCarriedOut(all);
  });

  it('between delivery and receipt, then it is delivered once more, under the same key', async () => {
    let running: RunningService | undefined;
    const all = await prepared(() => void running?.process.kill('SIGKILL'), done);
    running = await all.begin();
    const id = await all.ledger.report(running, 'tool_call_burst');
    expect(await running.ended).to.equal('SIGKILL');
    const second = await all.begin();
    await all.target.receives(2);
    await second.end('SIGKILL');
    const key = `${id}-freeze_agent-engage`;
    expect(all.ledger.asked.map((asked) => asked.key)).to.deep.equal([key, key]);
    await expectCarriedOut(all);
  });

  it('in a pause between attempts, then the pause goes on, and so does the count of attempts', async () => {
    const all = await prepared(answering(503, 'busy', { 'retry-after': '8' }), done);
    const first = await all.begin();
    const id = await all.ledger.report(first, 'tool_call_burst');
    await until(async () => (await deliveryOf(first, id)).status === 'delivering');
    const due = Date.parse((await deliveryOf(first, id)).next_attempt_at);
    await first.end('SIGKILL');
    const second = await all.begin();
    await all.target.receives(2);
    // Timers count in whole milliseconds.
    expect(Date.now()).to.be.at.least(due - 5);
    await until(async () => (await deliveryOf(second, id)).status === 'confirmed');
    expect(await deliveryOf(second, id)).to.include({ attempts: 2, waited_ms: 8000 });
    await second.end('SIGKILL');
    await expectCarriedOut(all);
  });

  it('while a release is on its way, then that is carried out, and nothing is engaged after it', async () => {
    let running: RunningService | undefined;
    const all = await prepared(done, () => void running?.process.kill('SIGKILL'), done);
    running = await all.begin();
    const id = await all.ledger.report(running, 'tool_call_burst');
    await all.target.receives(1);
    await running.post('/api/v1/incidents/resolve', { id });
    expect(await running.ended).to.equal('SIGKILL');
    const second = await all.begin();
    await all.target.receives(3);
    await second.end('SIGKILL');
    expect(all.ledger.asked.map(({ directive }) => directive)).to.deep.equal(['engage', 'release', 'release']);
    await expectCarriedOut(all);
  });

  describe('at a system call', () => {
    needs('strace');

    /** Nothing that the recorder connects to but targets; of the writes only those into the log count. */
    for (const [call, most] of [
      ['connect', rounds(2, 30)],
      ['write', rounds(4, 40)],
    ] as const) {
      it(`from its first ${call} to number ${most}, then all of it is carried out in the end`, async function () {
        this.timeout(most * 20_000);
        const all = await prepared(done, answering(503), done);
        for (let nth = 1; nth <= most; nth++) {
          const fault = traced(`${call}:signal=KILL:when=${nth}`, call === 'write' ? all.home.log : undefined);
          const service = await all.begin(fault).catch((error: Error) => {
            expect(error.message).to.match(/^the service ended \(SIGKILL\)/);
          });
          if (service === undefined) continue;
          await all.ledger.load(service, 1);
          expect(await service.ended).to.equal('SIGKILL');
        }
        expect(all.ledger.acknowledged.size).to.be.greaterThan(0);
        await expectCarriedOut(all);
      });
    }
  });
});
