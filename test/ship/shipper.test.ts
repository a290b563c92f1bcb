import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { NotReachable } from '../../src/client/errors.ts';
import { LocalRecorder } from '../../src/ship/local-recorder.ts';
import { Shipper, type ShipperOptions } from '../../src/ship/shipper.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { chain, chainLine } from './support/chain.ts';
import { FLEET_TOKEN, MACHINE, TestFleet } from './support/test-fleet.ts';
import { RECORDER_TOKEN, TestRecorder } from './support/test-recorder.ts';

describe('the shipper', () => {
  const directory = temporaryDirectories();
  let fleet: TestFleet;
  let recorder: TestRecorder;
  let said: { level: string; message: string; fields: Record<string, unknown> }[];
  let options: ShipperOptions;
  let stop: AbortController;
  let running: Promise<void>[];

  beforeEach(async () => {
    fleet = await new TestFleet().start();
    recorder = await new TestRecorder().start();
    said = [];
    stop = new AbortController();
    running = [];
    const home = directory();
    const [fleetToken, recorderToken] = ['fleet', 'recorder'].map((name) => join(home, name)) as [string, string];
    writeFileSync(fleetToken, `${FLEET_TOKEN}\n`);
    writeFileSync(recorderToken, RECORDER_TOKEN);
    options = {
      machine: MACHINE,
      fleet: { url: fleet.url, tokenPath: fleetToken },
      recorder: { url: recorder.url, tokenPath: recorderToken, prove: false },
      say: (level, message, fields = {}) => said.push({ level, message, fields }),
    };
  });

  afterEach(async () => {
    stop.abort(new Error('the test is over'));
    await Promise.all(running);
    await fleet.stop();
    await recorder.stop();
    expect([...fleet.faults, ...recorder.faults]).to.deep.equal([]);
  });

  const start = (more: Partial<ShipperOptions> = {}): Shipper => {
    const shipper = new Shipper({ ...options, ...more });
    running.push(shipper.run(stop.signal));
    return shipper;
  };
  const once = (more: Partial<ShipperOptions> = {}): Promise<void> =>
    new Shipper({ ...options, ...more }).once(stop.signal);
  const wholeLog = (): string[] => recorder.lines.map(({ line }) => line);
  const arrived = (): Promise<void> => eventually(() => fleet.lines(recorder.log).length === recorder.lines.length);
  const append = (count: number): void => {
    for (let n = 0; n < count; n++)
      recorder.append(chainLine(recorder.lines.length + 1, recorder.lines.at(-1)?.hash ?? ''));
  };

  it('ships a log in order, in batches, and what is written later at once', async () => {
    recorder.lines = chain(3500);
    start();
    await arrived();
    expect(fleet.batches).to.be.within(4, 12);
    append(3);
    await arrived();
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
    expect(fleet.announced.at(-1)).to.equal(3503);
  });

  it('says what to do about a log that the fleet knows as another machine’s', async () => {
    recorder.lines = chain(5);
    const error = 'entry 3 is an anchor of this fleet for another machine';
    const expected = { machine: MACHINE, log: recorder.log };
    fleet.instead = () => [409, { error, code: 'wrong_machine', expected }];
    const shipper = start();
    await eventually(() => shipper.progress.isOthers);
    const { level, message } = said.find(({ fields }) => fields.code === 'wrong_machine')!;
    expect(level).to.equal('error');
    expect(message).to.include('ANOTHER MACHINE').and.to.include('begin the log here again').and.to.include(error);
    expect(shipper.progress.behind).to.equal(5);
    fleet.instead = () => undefined;
    await eventually(() => fleet.lines(recorder.log).length === 5);
    await eventually(() => !shipper.progress.isOthers);
  });

  it('goes on where the fleet says, and sends nothing twice', async () => {
    recorder.lines = chain(2000);
    await once();
    const { batches } = fleet;
    append(10);
    await once();
    expect(fleet.batches).to.equal(batches + 1);
    await once();
    expect(fleet.batches, 'nothing is new').to.equal(batches + 1);
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
  });

  it('outlives a fleet and a recorder that go away', async () => {
    recorder.lines = chain(100);
    start();
    await arrived();
    await fleet.stop();
    append(100);
    await eventually(() => said.some(({ message }) => message === 'shipping is interrupted'));
    await fleet.start();
    await arrived();
    await recorder.stop();
    recorder.lines.push(chainLine(201, recorder.lines.at(-1)!.hash));
    await recorder.start();
    await arrived();
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
  });

  it('loses and doubles nothing when answers of both sides are cut', async () => {
    recorder.lines = chain(20_000);
    let n = 0;
    fleet.cutsAnswer = () => n++ % 5 === 3;
    recorder.cutsLog = () => n++ % 3 === 1;
    start();
    await arrived();
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
    expect(fleet.divergences).to.equal(0);
  });

  it('waits as long as Retry-After says', async () => {
    recorder.lines = chain(5);
    const asked: number[] = [];
    fleet.instead = () => {
      asked.push(performance.now());
      return asked.length === 1 ? [429, { error: 'too many' }, { 'retry-after': '1' }] : undefined;
    };
    await once();
    expect(asked[1]! - asked[0]!).to.be.at.least(990);
  });

  it('believes no fleet that says it has what it was not sent, or something else', async () => {
    recorder.lines = chain(20);
    for (const lie of [
      { through: 20, hash: 'f'.repeat(64) },
      { through: 5000 },
      { through: 5000, hash: 'f'.repeat(64) },
    ]) {
      fleet.histories.clear();
      let lies = 1;
      fleet.instead = () => (lies-- > 0 ? [200, { machine: MACHINE, log: recorder.log, ...lie }] : undefined);
      const shipper = new Shipper(options);
      await shipper.once(stop.signal);
      expect(fleet.lines(recorder.log), JSON.stringify(lie)).to.deep.equal(wholeLog());
      expect(shipper.progress.through).to.equal(20);
    }
    fleet.instead = () => undefined;
    // It says how far it has the log, and not with which entry.
    fleet.histories.clear();
    fleet.holds = { through: 15 };
    await once();
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
  });

  it('says in a short line why the fleet refuses, whatever that writes', async () => {
    recorder.lines = chain(3);
    const error = `no\n{"level":30,"msg":"all is well"}\r\u001b[2J${'x'.repeat(100_000)}`;
    fleet.instead = () => [400, { error }];
    const failure = await once().catch((caught: Error) => caught.message);
    expect(failure).to.include('no {"level":30');
    const whys = said.flatMap(({ fields }) => (fields.why === undefined ? [] : [String(fields.why)]));
    for (const why of [failure, ...whys]) {
      for (const control of ['\n', '\r', '\u001b']) expect(why).not.to.include(control);
      expect(String(why).length).to.be.below(800);
    }
    for (const answer of [null, 7]) {
      fleet.instead = () => [200, answer as never];
      expect(await once().catch((caught: Error) => caught.message)).to.equal(
        'the fleet’s answer does not say how far it has the log',
      );
    }
  });

  it('sends smaller batches to a fleet that finds them too large', async () => {
    recorder.lines = chain(1000);
    const sizes: number[] = [];
    fleet.instead = (lines) => {
      sizes.push(lines);
      return lines > 300 ? [413, { error: 'too large' }] : undefined;
    };
    start();
    await arrived();
    expect(sizes.some((lines) => lines > 300)).to.equal(true);
    for (const [n, lines] of sizes.entries()) if (lines > 300) expect(sizes[n + 1]).to.be.at.most(Math.ceil(lines / 2));
  });

  it('says loudly that the past was rewritten, and the fleet gets the other history from where they differ', async () => {
    recorder.lines = chain(5000);
    await once();
    recorder.lines = chain(5200, (seq) => (seq < 2500 ? `entry ${seq}` : `forged ${seq}`));
    start();
    await arrived();
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
    expect(fleet.histories.get(recorder.log)).to.have.length(2);
    expect(
      said
        .filter(({ level }) => level === 'error')
        .map(({ message }) => message)
        .join('\n'),
    )
      .to.include('its past was rewritten')
      .and.include('THE FLEET HOLDS ANOTHER PAST');
  });

  it('shows a past that was rewritten further back than one batch of long lines goes', async () => {
    const long = 'x'.repeat(30_000);
    recorder.lines = chain(120, (seq) => `${seq} ${long}`);
    await once();
    recorder.lines = chain(125, (seq) => (seq < 100 ? `${seq} ${long}` : `forged ${seq} ${long}`));
    start();
    await arrived();
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
    expect(fleet.histories.get(recorder.log)).to.have.length(2);
  });

  it('says loudly that the log was cut, and the fleet gets what is written after', async () => {
    recorder.lines = chain(3000);
    await once();
    recorder.lines = chain(2000);
    const shipper = start();
    await eventually(() => said.some(({ message }) => message.startsWith('THE LOG IS SHORTER')));
    await eventually(() => said.some(({ fields }) => fields.diverged === 'cut'));
    expect(shipper.progress.diverged).to.equal(true);
    recorder.append(chainLine(2001, recorder.lines.at(-1)!.hash, 'another'));
    await arrived();
    expect(fleet.histories.get(recorder.log)).to.have.length(2);
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
  });

  it('goes on with the other log of a recorder that was set up again', async () => {
    recorder.lines = chain(50);
    start();
    await arrived();
    await recorder.stop();
    const first = recorder.log;
    recorder.log = 'b'.repeat(64);
    recorder.lines = chain(20, (seq) => `new ${seq}`);
    await recorder.start();
    await arrived();
    expect(fleet.lines(first)).to.have.length(50);
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
  });

  it('lets two shippers of one machine do no harm', async () => {
    recorder.lines = chain(8000);
    start();
    start();
    await arrived();
    append(500);
    await arrived();
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
    expect(fleet.divergences).to.equal(0);
  });

  it('asks for what the fleet wants, and says what is archived', async () => {
    recorder.lines = chain(500);
    recorder.first = 301;
    start();
    await eventually(() => said.some(({ message }) => message.includes('a gap')));
    expect(said.map(({ message }) => message).join()).to.include('entries 1 to 300 are not in the log any more');
  });

  it('ships what was archived before the fleet had it, from the archive', async () => {
    recorder.lines = chain(500);
    recorder.first = 301;
    recorder.isArchiveThere = true;
    start();
    await arrived();
    expect(fleet.lines(recorder.log)).to.deep.equal(wholeLog());
    expect(said.map(({ message }) => message).join()).to.not.include('not in the log any more');
  });

  it('says how far it is, how fast, and when it is done', async () => {
    recorder.lines = chain(30_000);
    const shipper = start({ bytesPerSecond: 60_000 });
    await eventually(() => shipper.progress.rate > 0);
    expect(shipper.progress.behind).to.be.greaterThan(10_000);
    expect(shipper.progress.eta).to.be.greaterThan(0);
    expect(said[0]).to.deep.include({ message: 'shipping' });
    expect(said[0]!.fields).to.include({ from: 1, entries: 30_000, behind: 30_000 });
  });

  it('hands anchors over, sends the status with the policy when wanted, and relays commands', async () => {
    recorder.lines = chain(10);
    fleet.wantsPolicy = true;
    fleet.commands.push({ id: 'CMD-1', command: 'note 1' }, { id: 'CMD-2', command: 'note 2' });
    recorder.answer = (path, { command }) =>
      path.endsWith('anchors')
        ? [200, { recorded: false, why: 'too early' }]
        : command === 'note 1'
          ? [200, { id: 'CMD-1', status: 409, body: { error: 'already resolved' } }]
          : [422, { error: 'the signature is wrong' }];
    await once();
    expect(recorder.anchors).to.deep.equal(['anchor of 10']);
    expect(fleet.results).to.deep.equal([
      { id: 'CMD-1', status: 409, body: { error: 'already resolved' } },
      { id: 'CMD-2', status: 422, body: { error: 'the signature is wrong' } },
    ]);
    const [status, withText] = fleet.statuses as { policy: { text?: string } }[];
    expect(status).to.deep.include({
      version: '0.1.0',
      log: recorder.log,
      entries: 10,
      policy: { digest: 'd1', source: 'file' },
    });
    expect(JSON.parse(withText!.policy.text!)).to.deep.equal({ version: 1, rules: { a: 1 } });
  });

  it('gives a command again whose result the fleet has not', async () => {
    fleet.commands.push({ id: 'CMD-1', command: 'note 1' });
    let refused = 0;
    recorder.answer = () => (refused++ < 2 ? [503, { error: 'starting' }] : [200, { status: 200, body: {} }]);
    start();
    await eventually(() => fleet.results.length === 1);
    expect(recorder.commands).to.deep.equal(['note 1', 'note 1', 'note 1']);
  });

  it('does not ask again at once when the fleet gives the same command again, whose result it does not keep', async () => {
    fleet.keepsResults = false;
    fleet.commands.push({ id: 'CMD-1', command: 'note 1' });
    start();
    await eventually(() => fleet.results.length === 2);
    await wait(600);
    expect(fleet.results.length).to.be.within(2, 4);
  });

  it('sends a short result to a fleet that finds it too long', async () => {
    fleet.longestResult = 1000;
    fleet.commands.push({ id: 'CMD-1', command: 'note 1' });
    const body = { id: 'INC-1', state: 'contained', version: 4, evidence: 'x'.repeat(2000) };
    recorder.answer = () => [200, { status: 200, body }];
    await once();
    const short = { id: 'INC-1', state: 'contained', version: 4, shortened: true };
    expect(fleet.results).to.deep.equal([{ id: 'CMD-1', status: 200, body: short }]);
  });

  for (const side of ['fleet', 'recorder'] as const) {
    it(`says soon that the ${side} does not answer, and goes on when it does`, async () => {
      recorder.lines = chain(3);
      const stuck = { fleet, recorder }[side];
      stuck.isStuck = true;
      const shipper = start({ slow: 50 });
      await eventually(() => said.some(({ message }) => message === `the ${side} has not answered yet`));
      expect(shipper.progress.through).to.equal(0);
      stuck.isStuck = false;
      await stuck.stop();
      await stuck.start();
      await arrived();
    });
  }

  it('gives up on a recorder that begins no answer', async () => {
    recorder.isStuck = true;
    const local = new LocalRecorder(options.recorder, 50);
    const fault = await local.head(stop.signal).catch((error: unknown) => error as Error);
    expect(fault).to.be.instanceOf(NotReachable).with.property('message').which.includes('no answer within 50 ms');
    local.close();
  });

  it('tells the fleet when the recorder does not answer', async () => {
    await recorder.stop();
    start();
    await eventually(() => fleet.statuses.length > 0);
    expect(fleet.statuses[0]!.health).to.include({ status: 'unreachable' });
  });
});
