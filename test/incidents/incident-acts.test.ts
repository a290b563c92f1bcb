/** Notes, assignment, snooze and reopening: what each leaves in the log, and that a replay comes to the same. */
import { cpSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import type { Rule } from '../../machines/vocabulary.ts';
import { DAY, HOUR, MINUTE } from '../../src/clock.ts';
import type { Caller } from '../../src/domain/caller.ts';
import type { Entry } from '../../src/domain/entries.ts';
import type { Incident } from '../../src/domain/incident.ts';
import type { RecorderError } from '../../src/errors.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { SnoozeWatch } from '../../src/incidents/snooze-watch.ts';
import { databasePath } from '../../src/projections/database.ts';
import { operator, parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const rules: Record<string, Rule> = {
  tool_call_burst: { auto_contain: false, actions: ['freeze_agent'], default_severity: 'medium' },
  prompt_injection: { auto_contain: true, actions: ['freeze_agent', 'log_alert'], default_severity: 'high' },
};
const REPORT = {
  class: 'tool_call_burst',
  source: 'agent',
  description: 'calls',
  evidence: { ip: '203.0.113.7' },
} as const;
const ada = operator('ada');
const canary: Caller = { principal: 'canary', role: 'reporter', by: 'canary' };

describe('acts on incidents', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;
  const open = async (options: Parameters<typeof Recording.open>[1] = {}): Promise<void> => {
    recording = await Recording.open(home, { rules, ...options });
  };
  beforeEach(() => {
    home = directory();
    return open();
  });
  afterEach(() => recording.close());

  const report = async (more: object = {}, caller?: Caller): Promise<string> =>
    (await recording.recorder.report({ ...REPORT, ...more }, undefined, 0, caller)).incident.id;
  const shown = (id: string): Incident => recording.incident(id)!;
  const acts = () => recording.record.acts;
  const entries = (): readonly Entry[] =>
    readFileSync(Recording.logIn(home), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Entry);
  const refusal = async (work: Promise<unknown>): Promise<RecorderError> =>
    work.then(
      () => expect.fail('it was not refused'),
      (error: unknown) => error as RecorderError,
    );
  const restart = async (options: Parameters<typeof Recording.open>[1] = {}, meanwhile = () => {}): Promise<void> => {
    const { milliseconds, off } = recording.clock;
    await recording.close();
    meanwhile();
    await open(options);
    recording.clock.milliseconds = milliseconds;
    recording.clock.off = off;
  };
  const forget = (): void => {
    for (const end of ['', '-wal', '-shm']) rmSync(`${databasePath(Recording.logIn(home))}${end}`, { force: true });
  };
  /** What is live, then what a replay of the log makes: the same. */
  const expectSameAfterReplay = async (...ids: readonly string[]): Promise<void> => {
    const live = ids.map(shown);
    const due = () => recording.projections.current().snoozes.due(Number.MAX_SAFE_INTEGER / 2, 100);
    const snoozed = due();
    await restart({}, forget);
    expect(ids.map(shown)).to.deep.equal(live);
    expect(due()).to.deep.equal(snoozed);
  };
  const watch = () =>
    new SnoozeWatch({
      incidents: recording.incidents,
      current: () => recording.projections.current(),
      isProved: () => true,
      clock: recording.clock,
      onFault: (error) => {
        throw error;
      },
    });

  describe('note', () => {
    it('given any state, then the note is kept with who and when, and the state stays', async () => {
      const id = await report();
      for (const state of ['open', 'contained', 'acknowledged', 'resolved'] as const) {
        if (state !== 'open') {
          const command = { contained: 'contain', acknowledged: 'acknowledge', resolved: 'resolve' } as const;
          await recording.recorder.perform(command[state], { id, caller: ada });
        }
        const { version } = parsed(await acts().note({ id, note: `while ${state}`, caller: ada }));
        expect(shown(id)).to.deep.include({ state, version, note: `while ${state}` });
      }
      const { notes, notes_count } = shown(id);
      expect(notes_count).to.equal(4);
      expect(notes?.[0]).to.deep.equal({ at: shown(id).created_at, by: 'ada', role: 'operator', note: 'while open' });
      expect(entries().at(-1)).to.deep.include({ event: 'incident.noted' });
      expect(entries().at(-1)?.data).to.deep.include({ principal: 'ada', role: 'operator', note: 'while resolved' });
      await expectSameAfterReplay(id);
    });

    it('counts the notes of commands, assignments and snoozes, shows the newest 20, and no more than 16 KiB', async () => {
      const id = await report();
      const until = recording.clock.now() + HOUR;
      await recording.recorder.perform('contain', { id, caller: ada, note: 'one' });
      await acts().assign('grace', { id, caller: ada, note: 'two' });
      await acts().snooze(until, { id, caller: ada, note: 'three' });
      await recording.recorder.perform('resolve', { id, caller: ada, note: 'four' });
      expect(shown(id).notes?.map(({ note }) => note)).to.deep.equal(['one', 'two', 'three', 'four']);
      for (let n = 5; n <= 25; n++) await acts().note({ id, note: `${n}`, caller: ada });
      expect(shown(id).notes?.map(({ note }) => note)).to.deep.equal(Array.from({ length: 20 }, (_, n) => `${n + 6}`));
      expect(shown(id).notes_count).to.equal(25);
      for (const letter of 'abcdef') await acts().note({ id, note: letter.repeat(4096), caller: ada });
      expect(shown(id).notes?.map(({ note }) => note[0])).to.deep.equal(['c', 'd', 'e', 'f']);
      await expectSameAfterReplay(id);
    });

    it('given the same note of the same person within ten minutes, then it counts once', async () => {
      const id = await report();
      const said = { id, note: 'looking', caller: ada };
      const { version } = await acts().note(said);
      expect((await acts().note(said)).version).to.equal(version);
      expect((await acts().note({ ...said, caller: operator('grace') })).version).to.equal(version + 1);
      recording.clock.milliseconds += 10 * MINUTE;
      await acts().note(said);
      expect(shown(id).notes_count).to.equal(3);
    });

    it('given an acknowledged incident, then a further acknowledgement adds its note and changes nothing else', async () => {
      const id = await report();
      await recording.recorder.perform('acknowledge', { id, caller: ada, note: 'mine' });
      recording.clock.milliseconds += MINUTE;
      const { acknowledged_at, acknowledged_by } = shown(id);
      const without = await recording.recorder.perform('acknowledge', { id, caller: operator('grace') });
      expect(without.change).to.equal('unchanged');
      await recording.recorder.perform('acknowledge', { id, caller: operator('grace'), note: 'and mine' });
      expect(entries().at(-1)?.event).to.equal('incident.noted');
      expect(shown(id)).to.deep.include({ state: 'acknowledged', acknowledged_at, acknowledged_by, note: 'and mine' });
      expect(shown(id).notes_count).to.equal(2);
    });

    it('given another version than expected, then refused', async () => {
      const id = await report();
      await acts().note({ id, note: 'first', caller: ada });
      const error = await refusal(acts().note({ id, note: 'second', caller: ada, ifVersion: 1 }));
      expect(error.code).to.equal('stale_version');
    });
  });

  describe('assign', () => {
    it('says who works it, by whom and since when; the same again changes nothing, and null frees it', async () => {
      const id = await report();
      const { version } = await acts().assign('grace', { id, caller: ada });
      expect(shown(id)).to.deep.include({ assignee: 'grace', assigned_by: 'ada', state: 'open' });
      expect(shown(id).assigned_at).to.equal(shown(id).updated_at);
      expect((await acts().assign('grace', { id, caller: ada })).version).to.equal(version);
      expect((await acts().assign('grace', { id, caller: ada, note: 'again' })).version).to.equal(version + 1);
      await recording.recorder.perform('resolve', { id, caller: ada });
      await acts().assign('tom', { id });
      expect(shown(id)).to.include({ assignee: 'tom' }).and.not.have.any.keys('assigned_by');
      await expectSameAfterReplay(id);
      await acts().assign(null, { id, caller: ada });
      expect(shown(id)).not.to.have.any.keys('assignee', 'assigned_at', 'assigned_by');
      expect(entries().at(-1)?.data).to.deep.include({ to: null, by: 'ada' });
      await expectSameAfterReplay(id);
    });
  });

  describe('snooze', () => {
    const HOURS = 5 * HOUR;

    it('acknowledges until a time, and comes back by itself, also from a passivated actor', async () => {
      await restart({ liveActors: 1 });
      const id = await report();
      const until = recording.clock.now() + HOURS;
      await acts().snooze(until, { id, caller: ada, note: 'the vendor answers at noon' });
      const snoozed_until = new Date(until).toISOString();
      const snoozed = { state: 'acknowledged', snoozed_until, snoozed_by: 'ada', acknowledged_by: 'ada' };
      expect(shown(id)).to.deep.include(snoozed);
      for (let n = 0; n < 3; n++) await report({ source: `other-${n}` });
      expect(recording.incidents.has(id)).to.equal(false);
      recording.clock.milliseconds = until - 1;
      await watch().look();
      expect(shown(id)).to.deep.include(snoozed);
      await expectSameAfterReplay(id);
      recording.clock.milliseconds = until;
      await watch().look();
      expect(shown(id)).to.include({ state: 'open' }).and.not.have.any.keys('snoozed_until', 'snoozed_by');
      const { event, data } = entries().at(-1)!;
      expect({ event, ...data }).to.deep.include({ event: 'incident.woken', why: 'due', state: 'open' });
      expect(data).not.to.have.any.keys('principal', 'by');
      await expectSameAfterReplay(id);
    });

    it('given actions that it holds, then it comes back contained, with its deliveries as they are', async () => {
      const id = await report({ class: 'prompt_injection' });
      await acts().snooze(recording.clock.now() + HOURS, { id, caller: ada });
      const news = { type: 'confirmed', attempted: false, receipt: { by: 'confirmation' } } as const;
      await recording.incidents.actor(id).send({ type: 'deliver', action: 'freeze_agent', directive: 'engage', news });
      expect(shown(id)).to.deep.include({ state: 'acknowledged' });
      const asked = [...recording.carriedOut];
      recording.clock.milliseconds += HOURS;
      await watch().look();
      expect(shown(id).state).to.equal('contained');
      expect(shown(id).containment?.status).to.equal('confirmed');
      expect(recording.carriedOut).to.deep.equal(asked);
      await expectSameAfterReplay(id);
    });

    it('wakes a day that is more than 2^31 ms away, not before it, and in batches', async () => {
      const until = recording.clock.now() + 89 * DAY;
      const ids: string[] = [];
      for (let n = 0; n < 40; n++) ids.push(await report({ source: `source-${n}` }));
      for (const id of ids) await acts().snooze(until, { id, caller: ada });
      recording.clock.milliseconds = until - 1;
      const watching = watch();
      await watching.look();
      expect(ids.map((id) => shown(id).state)).to.deep.equal(ids.map(() => 'acknowledged'));
      recording.clock.milliseconds = until;
      for (let looks = 0; looks < 3; looks++) await watching.look();
      expect(ids.map((id) => shown(id).state)).to.deep.equal(ids.map(() => 'open'));
      const length = entries().length;
      await watching.look();
      expect(entries()).to.have.length(length);
    });

    it('given a time that is over or too far ahead, then refused, with what is allowed', async () => {
      const id = await report();
      for (const ahead of [-1, 0, 90 * DAY + 1, Number.NaN]) {
        const error = await refusal(acts().snooze(recording.clock.now() + ahead, { id, caller: ada }));
        expect([error.code, error.message]).to.deep.equal([
          'invalid_request',
          'until must be in the future, at most 90 days ahead; null ends the snooze',
        ]);
      }
      expect(shown(id).version).to.equal(1);
    });

    it('given the same time again, then nothing changes; another one counts', async () => {
      const id = await report();
      const until = recording.clock.now() + HOUR;
      const { version } = await acts().snooze(until, { id, caller: ada });
      expect((await acts().snooze(until, { id, caller: ada })).version).to.equal(version);
      await acts().snooze(until + HOUR, { id, caller: operator('grace') });
      expect(shown(id)).to.include({ snoozed_by: 'grace', acknowledged_by: 'ada' });
      recording.clock.milliseconds = until;
      await watch().look();
      expect(shown(id).state).to.equal('acknowledged');
      await expectSameAfterReplay(id);
    });

    it('given null, then a person ends it; where there is none, nothing changes', async () => {
      const id = await report();
      const { version } = await acts().snooze(null, { id, caller: ada });
      expect(version).to.equal(1);
      await acts().snooze(recording.clock.now() + HOUR, { id, caller: ada });
      await acts().snooze(null, { id, caller: ada });
      expect(shown(id).state).to.equal('open');
      expect(entries().at(-1)?.data).to.deep.include({ why: 'person', by: 'ada' });
      await recording.recorder.perform('resolve', { id });
      for (const until of [null, recording.clock.now() + HOUR]) {
        const error = await refusal(acts().snooze(until, { id, caller: ada }));
        expect([error.code, error.fields.state]).to.deep.equal(['illegal_transition', 'resolved']);
      }
    });

    for (const [what, act, state] of [
      ['acknowledged', (id: string) => recording.recorder.perform('acknowledge', { id }), 'acknowledged'],
      ['contained', (id: string) => recording.recorder.perform('contain', { id }), 'contained'],
      ['resolved', (id: string) => recording.recorder.perform('resolve', { id }), 'resolved'],
      ['reported again as more severe', () => report({ dedup_key: 'k', severity: 'critical' }), 'open'],
    ] as const) {
      it(`given that it is ${what} meanwhile, then the snooze is over`, async () => {
        const id = await report({ dedup_key: 'k' });
        await acts().snooze(recording.clock.now() + HOUR, { id, caller: ada });
        await act(id);
        expect(shown(id)).to.include({ state }).and.not.have.any.keys('snoozed_until', 'snoozed_by');
        const length = entries().length;
        recording.clock.milliseconds += HOUR;
        await watch().look();
        expect(entries()).to.have.length(length);
        await expectSameAfterReplay(id);
      });
    }

    it('given a clock that was set back, then it ends when the time has passed that it was for', async () => {
      const jump = async (by: number): Promise<void> => {
        recording.clock.off += by;
        const data = { by_ms: by, since: REPORT.source, after_seq: entries().length, found: 'running' } as const;
        const timestamp = new Date(recording.clock.now()).toISOString();
        await recording.log.append([{ timestamp, event: 'clock.jumped', data }]);
      };
      const [before, after] = [await report(), await report({ source: 'another' })];
      await acts().snooze(recording.clock.now() + HOURS, { id: before, caller: ada });
      await jump(-DAY);
      await acts().snooze(recording.clock.now() + 2 * HOURS, { id: after, caller: ada });
      await restart();
      recording.clock.milliseconds += HOURS - 1;
      await watch().look();
      expect([shown(before).state, shown(after).state]).to.deep.equal(['acknowledged', 'acknowledged']);
      recording.clock.milliseconds += 1;
      await watch().look();
      expect([shown(before).state, shown(after).state]).to.deep.equal(['open', 'acknowledged']);
      // Forward and back again is as if nothing had been.
      await jump(MINUTE);
      await jump(-MINUTE);
      recording.clock.milliseconds += HOURS - 1;
      await watch().look();
      expect(shown(after).state).to.equal('acknowledged');
      recording.clock.milliseconds += 1;
      await watch().look();
      expect(shown(after).state).to.equal('open');
    });

    it('given a database in which it is hidden, or snoozed for longer, then that is found', async () => {
      const id = await report();
      await acts().snooze(recording.clock.now() + HOURS, { id, caller: ada });
      const difference = (): Promise<string | undefined> =>
        recording.projections.incidentProof(recording.log).difference(id);
      expect(await difference()).to.equal(undefined);
      for (const change of ['UPDATE snoozes SET due = due + 1', 'DELETE FROM snoozes']) {
        await restart({}, () => {
          const database = new DatabaseSync(databasePath(Recording.logIn(home)));
          database.exec(change);
          database.close();
        });
        expect(await difference()).to.equal(`${id} is snoozed until another time`);
      }
    });

    it('given that it is carried over, then it still comes back, from a log that begins with that', async () => {
      await restart({ segmentBytes: 2000 });
      const id = await report();
      const until = recording.clock.now() + 60 * DAY;
      await acts().snooze(until, { id, caller: ada, note: 'carried' });
      await acts().assign('grace', { id, caller: ada });
      for (let n = 0; n < 8; n++) {
        await recording.recorder.perform('resolve', { id: await report({ source: `filler-${n}` }) });
      }
      recording.clock.milliseconds += 30 * DAY;
      const { log, projections, incidents, clock } = recording;
      const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
      const { carried, archived } = await archivist.archive(clock.now() - DAY);
      expect([carried, archived.length > 0]).to.deep.equal([1, true]);
      expect(shown(id)).to.deep.include({ assignee: 'grace', note: 'carried', notes_count: 1 });
      await expectSameAfterReplay(id);
      recording.clock.milliseconds = until;
      await watch().look();
      expect(shown(id).state).to.equal('open');
    });
  });

  describe('reopen', () => {
    const resolved = async (more: object = {}, caller?: Caller): Promise<string> => {
      const id = await report(more, caller);
      await recording.recorder.perform('resolve', { id, caller: ada });
      return id;
    };

    it('opens another incident, and each names the other', async () => {
      const id = await resolved({ severity: 'critical' });
      recording.clock.milliseconds += HOUR;
      const { incident, isNew } = await acts().reopen({ id, caller: ada, note: 'it goes on' });
      const other = parsed(incident);
      expect(isNew).to.equal(true);
      const { class: ofClass, source, description, evidence } = REPORT;
      expect(other).to.deep.include({ class: ofClass, source, description, evidence, severity: 'critical' });
      expect(other).to.deep.include({ state: 'open', reopens: id, note: 'it goes on', notes_count: 1, occurrences: 1 });
      expect(shown(id)).to.deep.include({
        state: 'resolved',
        reopened_as: other.id,
        reopened_at: other.created_at,
        note: 'it goes on',
      });
      const [first, last] = entries().slice(-2);
      expect([first?.event, last?.event]).to.deep.equal(['incident.reported', 'incident.reopened']);
      expect(first?.data).to.deep.include({ reopens: id, principal: 'ada', role: 'operator', by: 'ada' });
      expect(last?.data).to.deep.include({ incident: id, as: other.id, by: 'ada', note: 'it goes on' });
      expect(shown(other.id)).to.deep.equal(other);
      await expectSameAfterReplay(id, other.id);
    });

    it('asks for containment by the rule in force, with its alert in the same write', async () => {
      const id = await resolved();
      await restart({ rules: { tool_call_burst: { ...rules.prompt_injection!, min_severity: 'critical' } } });
      const other = parsed((await acts().reopen({ id, caller: ada })).incident);
      expect(other).to.deep.include({ state: 'contained', severity: 'critical', version: 2 });
      expect(recording.carriedOut).to.deep.equal([`freeze_agent engage ${other.id}`, `log_alert engage ${other.id}`]);
      expect(
        entries()
          .slice(-3)
          .map(({ event }) => event),
      ).to.deep.equal(['incident.reported', 'alert.raised', 'incident.reopened']);
    });

    it('given a severity that rose, or a rule that is stricter now, then it has the higher one', async () => {
      const raised = await report({ dedup_key: 'r' });
      await report({ dedup_key: 'r', severity: 'critical' });
      await recording.recorder.perform('resolve', { id: raised });
      const [usual, lowered] = [await resolved(), await resolved({ severity: 'low' })];
      await restart({ rules: { tool_call_burst: { ...rules.tool_call_burst!, default_severity: 'high' } } });
      const severityOf = async (id: string) => parsed((await acts().reopen({ id, caller: ada })).incident).severity;
      expect([await severityOf(raised), await severityOf(usual), await severityOf(lowered)]).to.deep.equal([
        'critical',
        'high',
        'low',
      ]);
    });

    it('given a second time, then the same incident, until that is resolved: then refused by its name', async () => {
      const id = await resolved();
      const [one, two] = await Promise.all([acts().reopen({ id, caller: ada }), acts().reopen({ id, caller: ada })]);
      expect([one.isNew, two.isNew, two.incident.id]).to.deep.equal([true, false, one.incident.id]);
      const as = one.incident.id;
      await recording.recorder.perform('resolve', { id: as });
      const error = await refusal(acts().reopen({ id, caller: ada }));
      expect(error.code).to.equal('illegal_transition');
      expect(error.message).to.include(as);
      expect(error.fields).to.deep.include({ state: 'resolved', reopened_as: as });
      const third = parsed((await acts().reopen({ id: as, caller: ada })).incident);
      expect(third.reopens).to.equal(as);
    });

    it('given one that is not resolved, then refused with its state', async () => {
      const id = await report();
      for (const [command, state] of [
        [undefined, 'open'],
        ['contain', 'contained'],
        ['acknowledge', 'acknowledged'],
      ] as const) {
        if (command !== undefined) await recording.recorder.perform(command, { id });
        const error = await refusal(acts().reopen({ id, caller: ada }));
        expect([error.code, error.fields.state]).to.deep.equal(['illegal_transition', state]);
        expect(error.message).to.include(state);
      }
      expect((await refusal(acts().reopen({ id: 'INC-20261122-000000000000' }))).code).to.equal('not_found');
    });

    it('given a drill, then refused: another one can be begun', async () => {
      const { incident } = await recording.recorder.drill({ class: 'tool_call_burst', asks: () => false });
      await recording.recorder.perform('resolve', { id: incident.id });
      const error = await refusal(acts().reopen({ id: incident.id, caller: ada }));
      expect([error.code, error.message]).to.deep.equal([
        'illegal_transition',
        'reopen is not possible: it was a drill; begin another one',
      ]);
    });

    it('given an imported incident, then it is reopened like any other', async () => {
      const claimed = {
        id: 'INC-20260301-120000-0001',
        created_at: '2026-03-01T12:00:00Z',
        class: 'prompt_injection',
        severity: 'high',
        state: 'resolved',
        source: 'tool-firewall',
        description: 'a test',
        resolved_at: '2026-03-02T12:00:00Z',
      } as const;
      await recording.recorder.import([claimed], ada);
      const other = parsed((await acts().reopen({ id: claimed.id, caller: ada })).incident);
      expect(other).to.deep.include({ reopens: claimed.id, state: 'contained', source: 'tool-firewall' });
      await expectSameAfterReplay(claimed.id, other.id);
    });

    it('keeps whose keys they are: a further report joins the new incident, a request sent again gives the old', async () => {
      const idempotency = { key: 'once', fingerprint: 'f'.repeat(64) };
      const first = await recording.recorder.report({ ...REPORT, dedup_key: 'k' }, idempotency, 0, canary);
      const { id } = first.incident;
      await recording.recorder.perform('resolve', { id, caller: ada });
      const { incident } = await acts().reopen({ id, caller: ada });
      expect(parsed(incident)).to.deep.include({ reported_by: 'canary', dedup_key: 'k' });
      const joins = async (): Promise<void> => {
        const again = await recording.recorder.report({ ...REPORT, dedup_key: 'k' }, undefined, 0, canary);
        expect([again.change, again.incident.id]).to.deep.equal(['recurred', incident.id]);
        const sent = await recording.recorder.report({ ...REPORT, dedup_key: 'k' }, idempotency, 0, canary);
        expect([sent.change, sent.incident.id]).to.deep.equal(['replayed', id]);
      };
      await joins();
      await restart({}, forget);
      await joins();
    });

    it('is no report: it is folded into no burst, counts for no escalation, and repeats nothing', async () => {
      const within = HOUR;
      const options = {
        burst: { reports: 2, within },
        escalate: [{ class: 'prompt_injection', reports: 2, within, to: 'critical' }],
      } as const;
      await restart(options);
      const more = { class: 'prompt_injection' };
      const id = await resolved(more);
      const { incident, isNew } = await acts().reopen({ id, caller: ada });
      expect([isNew, parsed(incident).severity]).to.deep.equal([true, 'high']);
      expect(recording.projections.current().reportTimes.recentOf('prompt_injection').seqs).to.have.length(1);
      await restart(options, forget);
      expect(recording.projections.current().reportTimes.recentOf('prompt_injection').seqs).to.have.length(1);
    });

    it('given that the incident is in the archive, then it says so', async () => {
      await restart({ segmentBytes: 1500 });
      const id = await resolved();
      for (let n = 0; n < 6; n++) await resolved({ source: `filler-${n}` });
      recording.clock.milliseconds += 30 * DAY;
      const { log, projections, incidents, clock } = recording;
      const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
      await archivist.archive(clock.now() - DAY);
      const error = await refusal(acts().reopen({ id, caller: ada }));
      expect(error.code).to.equal('gone');
      expect(error.message).to.include('archive');
    });

    for (const isTornTwice of [false, true]) {
      it(`given a crash between its entries, then the next start completes it${isTornTwice ? ', or the one after that' : ''}`, async () => {
        const id = await resolved({ class: 'prompt_injection' });
        const elsewhere = directory();
        const { incident } = await acts().reopen({ id, caller: ada, note: 'it goes on' });
        const live = shown(id);
        // What a crash would leave: the log without the last entry of the write.
        cpSync(home, elsewhere, { recursive: true });
        const log = Recording.logIn(elsewhere);
        const text = readFileSync(log, 'utf8');
        truncateSync(log, Buffer.byteLength(text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1)));
        rmSync(`${log}.checkpoint`, { force: true });
        for (const end of ['', '-wal', '-shm']) rmSync(`${databasePath(log)}${end}`, { force: true });
        await recording.close();
        home = elsewhere;
        await open();
        if (isTornTwice) {
          // The first start after it did not come that far: another entry is the last of the log.
          await recording.log.append([
            { timestamp: '2026-11-22T08:00:00.000Z', event: 'service.stopped', data: { reason: 'a test' } },
          ]);
          await restart();
        }
        expect(shown(id)).not.to.have.property('reopened_as');
        await recording.record.tornWrite.attempt();
        expect(entries().at(-1)).to.deep.include({ event: 'incident.reopened' });
        expect(entries().at(-1)?.data).to.deep.include({ as: incident.id, principal: 'ada', note: 'it goes on' });
        const { reopened_as, note, version } = shown(id);
        expect({ reopened_as, note, version }).to.deep.equal({
          reopened_as: live.reopened_as,
          note: live.note,
          version: live.version,
        });
        expect(recording.projections.current().halfReopened(10)).to.deep.equal([]);
        await expectSameAfterReplay(id, incident.id);
      });
    }
  });
});
