import { readFileSync, rmSync } from 'node:fs';
import { expect } from 'chai';
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import type { Entry } from '../../src/domain/entries.ts';
import { RecorderError } from '../../src/errors.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { GuardWatch } from '../../src/incidents/guard-watch.ts';
import type { Expectation } from '../../src/policy/policy.ts';
import { databasePath } from '../../src/projections/database.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const ATTESTOR = { source: 'runtime-attestor', every: 5 * MINUTE };

describe('the watch over guards', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;
  let expected: readonly Expectation[];
  let isDeaf: boolean;
  let watch: GuardWatch;

  const begin = (): void => {
    const { log, projections, clock } = recording;
    watch = new GuardWatch({
      log,
      current: () => projections.current(),
      expect: () => expected,
      isDeaf: () => isDeaf,
      clock,
      onFault: (error) => {
        throw error;
      },
    });
  };

  const open = async (): Promise<void> => {
    recording = await Recording.open(home);
    begin();
  };

  beforeEach(async () => {
    home = directory();
    expected = [ATTESTOR];
    isDeaf = false;
    await open();
  });
  afterEach(async () => {
    await watch.stop();
    await recording.close();
  });

  /** Lets time pass, with a look every second as the service has it. */
  const pass = async (milliseconds: number): Promise<void> => {
    for (let left = milliseconds; left > 0; left -= SECOND) {
      recording.clock.milliseconds += SECOND;
      await watch.look();
    }
  };

  const entries = (): readonly Entry[] =>
    readFileSync(Recording.logIn(home), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Entry)
      .filter(({ event }) => event.startsWith('guard.') || event === 'alert.raised');
  const events = (): readonly string[] => entries().map(({ event }) => event);
  const status = () => watch.status[0]!;

  it('says that a guard is silent once, with an alert, and that it is heard again', async () => {
    expect(status()).to.deep.equal({
      source: 'runtime-attestor',
      every_seconds: 300,
      status: 'awaited',
      heard_at: null,
    });
    await pass(6 * MINUTE - SECOND);
    expect(events()).to.deep.equal([]);
    await pass(SECOND);
    const [silent, alert] = entries();
    expect(silent?.data).to.deep.include({ source: 'runtime-attestor', every_ms: 300_000, silent_ms: 360_000 });
    expect(alert?.data).to.deep.include({
      guard: 'runtime-attestor',
      severity: 'high',
      reason: 'the guard runtime-attestor is silent: it is expected every 300 s, and it was never heard',
    });
    expect(status()).to.deep.include({ status: 'silent', silent_since: silent?.timestamp });
    await pass(30 * MINUTE);
    expect(events()).to.deep.equal(['guard.silent', 'alert.raised']);

    const caller = { principal: 'attestor', role: 'reporter', by: 'attestor' } as const;
    const heard = await watch.heartbeat('runtime-attestor', caller);
    expect(heard.status).to.equal('heard');
    expect(entries().at(-1)?.data).to.deep.include({
      source: 'runtime-attestor',
      sign: 'heartbeat',
      silent_since: silent?.timestamp,
      ...caller,
    });
    await pass(6 * MINUTE);
    expect(events()).to.deep.equal(['guard.silent', 'alert.raised', 'guard.heard', 'guard.silent', 'alert.raised']);
    expect(entries().at(-2)?.data).to.deep.include({ heard_at: heard.heard_at });
  });

  it('writes the first sign of life, and later ones at most every ten minutes', async () => {
    for (let minute = 0; minute < 60; minute += 1) {
      await watch.heartbeat('runtime-attestor');
      await pass(MINUTE);
    }
    expect(events()).to.deep.equal(Array<string>(6).fill('guard.heard'));
    expect(status().status).to.equal('heard');
  });

  it('takes a report as a sign of life, and refuses a heartbeat of a source that nobody expects', async () => {
    await pass(5 * MINUTE);
    watch.heard('runtime-attestor');
    watch.heard('somebody-else');
    await pass(5 * MINUTE);
    expect(events()).to.deep.equal(['guard.heard']);
    expect(entries()[0]?.data).to.deep.include({ source: 'runtime-attestor', sign: 'report' });
    const error = await watch.heartbeat('somebody-else').catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(RecorderError).with.property('code', 'not_found');
    expect((error as RecorderError).fields).to.deep.equal({ allowed: ['runtime-attestor'] });
  });

  it('neither forgets a silence at a restart nor invents one', async () => {
    await watch.heartbeat('runtime-attestor');
    await pass(4 * MINUTE);
    await watch.stop();
    await recording.close();
    await open();
    // The recorder was down for an hour: the guard could not be heard.
    recording.clock.milliseconds += HOUR;
    begin();
    expect(status()).to.deep.include({ status: 'awaited', heard_at: entries()[0]?.timestamp });
    await pass(6 * MINUTE - SECOND);
    expect(events()).to.deep.equal(['guard.heard']);
    await pass(SECOND);
    expect(events()).to.deep.equal(['guard.heard', 'guard.silent', 'alert.raised']);

    await watch.stop();
    await recording.close();
    const log = Recording.logIn(home);
    for (const end of ['', '-wal', '-shm']) rmSync(`${databasePath(log)}${end}`, { force: true });
    await open();
    expect(status().status).to.equal('silent');
    await pass(20 * MINUTE);
    expect(events()).to.deep.equal(['guard.heard', 'guard.silent', 'alert.raised']);
    await watch.heartbeat('runtime-attestor');
    expect(events().at(-1)).to.equal('guard.heard');
  });

  it('is not moved by the wall clock, by time in which reports are refused, or by a process that stood still', async () => {
    await watch.heartbeat('runtime-attestor');
    recording.clock.off = 24 * HOUR;
    await pass(5 * MINUTE);
    recording.clock.off = -24 * HOUR;
    await pass(30 * SECOND);
    isDeaf = true;
    await pass(HOUR);
    isDeaf = false;
    recording.clock.milliseconds += HOUR;
    await watch.look();
    expect(events()).to.deep.equal(['guard.heard']);
    await pass(MINUTE);
    expect(events()).to.deep.equal(['guard.heard', 'guard.silent', 'alert.raised']);
  });

  it('follows the policy: what is new has its first deadline from then on, and what is gone is not watched', async () => {
    await pass(5 * MINUTE);
    expected = [{ source: 'canary', every: MINUTE }];
    watch.followPolicy();
    await pass(2 * MINUTE);
    expect(entries().map(({ data }) => 'source' in data && data.source)).to.deep.equal(['canary', false]);
    expected = [ATTESTOR, { source: 'canary', every: MINUTE }];
    watch.followPolicy();
    expect(watch.status.map((guard) => guard.status)).to.deep.equal(['awaited', 'silent']);
    await pass(MINUTE);
    expect(events()).to.have.lengthOf(2);
  });

  it('refuses a heartbeat whose entry the log refuses, and writes it later', async () => {
    const { projections, clock, log } = recording;
    let isFull = true;
    watch = new GuardWatch({
      log: {
        append: (drafts) =>
          isFull ? Promise.reject(new RecorderError('log_unavailable', 'no room')) : log.append(drafts),
      },
      current: () => projections.current(),
      expect: () => expected,
      isDeaf: () => false,
      clock,
      onFault: (error) => {
        throw error;
      },
    });
    const error = await watch.heartbeat('runtime-attestor').catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'log_unavailable');
    isFull = false;
    await pass(SECOND);
    expect(events()).to.deep.equal(['guard.heard']);
  });

  it('keeps a silence when its entry has left the log for the archive', async () => {
    await watch.stop();
    await recording.close();
    recording = await Recording.open(home, { segmentBytes: 600 });
    begin();
    await pass(6 * MINUTE);
    const report = { class: 'tool_call_burst', source: 'agent', description: 'calls' } as const;
    const { incident } = await recording.recorder.report(report);
    await recording.recorder.perform('resolve', { id: incident.id });
    await recording.recorder.report(report);
    recording.clock.milliseconds += 48 * HOUR;
    const { log, projections, incidents, clock } = recording;
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
    await archivist.archive(clock.now() - 24 * HOUR);
    expect(events()).to.not.include('guard.silent');
    await watch.stop();
    await recording.close();
    for (const end of ['', '-wal', '-shm']) rmSync(`${databasePath(Recording.logIn(home))}${end}`, { force: true });
    await open();
    expect(status().status).to.equal('silent');
  });
});
