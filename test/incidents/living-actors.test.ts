import { readFileSync } from 'node:fs';
import { StatementSync } from 'node:sqlite';
import { expect } from 'chai';
import fc from 'fast-check';
import { COMMANDS } from '../../machines/decision.ts';
import { incidentMachine } from '../../machines/incident.ts';
import { ACTIONS, CLASSES, DIRECTIVES } from '../../machines/vocabulary.ts';
import { HOUR, MINUTE } from '../../src/clock.ts';
import { startContainment } from '../../src/compose/containment.ts';
import type { DeliveryNews } from '../../src/domain/delivery.ts';
import { type Entry, isAboutIncident, isOpening } from '../../src/domain/entries.ts';
import { fold, type IncidentRecord } from '../../src/domain/incident.ts';
import { RecorderError } from '../../src/errors.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import { Recording } from '../support/recording.ts';
import { answering, listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const report = { class: 'tool_call_burst', source: 'tool-firewall', description: '400 calls in a second' } as const;

describe('a living incident', () => {
  const directory = temporaryDirectories();
  const listen = listeningTargets();

  it('sets its containment going itself, at once: nothing else wakes the lane', async () => {
    const agent = await listen(0, answering(200));
    const url = parseTargetUrl(agent.url('/agent'))!;
    const freeze = { engage: { url, action: 'freeze' }, release: { url, action: 'unfreeze' } };
    const recording = await Recording.open(directory(), { targets: { freeze_agent: freeze } });
    const releases = new AsyncDisposableStack();
    // There is no heartbeat here: that belongs to what serves the record.
    startContainment(recording.record, recording.clock, releases, (error) => expect.fail(String(error)));
    try {
      const { id } = (await recording.recorder.report(report)).incident;
      await agent.receives(1);
      await recording.recorder.perform('resolve', { id });
      const received = await agent.receives(2);
      expect(received.map(({ body }) => [body.action, body.incident_id])).to.deep.equal([
        ['freeze', id],
        ['unfreeze', id],
      ]);
    } finally {
      await releases.disposeAsync();
      await recording.close();
    }
  });

  it('that is awake takes a message without a read: one question to its chart, no row, no JSON', async () => {
    const recording = await Recording.open(directory());
    const { incidents, recorder } = recording;
    const keyed = { ...report, dedup_key: 'one' };
    const { id } = (await recorder.report(keyed)).incident;
    // As many occurrences as no other incident has, so that the chart has not been asked about this situation.
    for (let n = 0; n < 37; n++) await recorder.report(keyed);
    const news = { type: 'confirmed', attempted: false, receipt: { by: 'confirmation' } } as const;
    const messages = [
      { type: 'deliver', action: 'freeze_agent', directive: 'engage', news },
      { type: 'acknowledge' },
      { type: 'resolve' },
    ] as const;
    for (const message of messages) {
      const counted = await counting(() => incidents.actor(id).send(message));
      expect(counted, message.type).to.deep.equal({ change: 'moved', questions: 1, reads: 0, parsed: 0 });
    }
    await recording.close();
  });

  it('is woken from its persisted snapshot, and carries nothing out again', async () => {
    const home = directory();
    const first = await Recording.open(home);
    const { id } = (await first.recorder.report({ ...report, class: 'attestation_failure' })).incident;
    const before = first.incidents.actor(id).read();
    await first.close();

    const second = await Recording.open(home);
    const woken = second.incidents.actor(id).read();
    expect(stateOf(woken)).to.deep.equal(stateOf(before));
    expect(second.incidents.figures).to.deep.equal({ alive: 1, woken: 1, passivated: 0 });
    expect(second.carriedOut).to.deep.equal([]);
    await second.close();
  });

  it('that was put to sleep while somebody kept it is the same actor when it wakes', async () => {
    const recording = await Recording.open(directory(), { liveActors: 1 });
    const { incidents, recorder } = recording;
    const [first, second] = [(await recorder.report(report)).incident.id, (await recorder.report(report)).incident.id];
    const kept = incidents.actor(first);
    kept.read();
    incidents.actor(second).read();
    expect(kept.isAwake).to.equal(false);
    kept.read();
    expect(incidents.actor(first)).to.equal(kept);
    await kept.send({ type: 'resolve' });
    expect(recording.incident(first)?.state).to.equal('resolved');
    expect(incidents.figures.alive).to.be.at.most(1);
    await recording.close();
    expect([incidents.figures.alive, incidents.weight]).to.deep.equal([0, 0]);
  });

  it('is what the log says, after whatever has happened to it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const world = await World.open(directory());
        try {
          for (const one of steps) {
            await world.take(one);
            world.expectAgreement();
          }
        } finally {
          await world.close();
        }
      }),
      { numRuns: 40 },
    );
  });
});

/** Counts what a message costs beside its entry: questions to the incident's chart, reads of SQLite, parsed JSON. */
async function counting(send: () => Promise<{ readonly change: string }>) {
  const counts = { questions: 0, reads: 0, parsed: 0 };
  const restore: (() => void)[] = [];
  const count = <Of extends object>(of: Of, name: keyof Of, what: keyof typeof counts): void => {
    const own = Object.getOwnPropertyDescriptor(of, name);
    const original = of[name] as (...args: unknown[]) => unknown;
    Object.defineProperty(of, name, {
      configurable: true,
      value(...args: unknown[]) {
        counts[what] += 1;
        return Reflect.apply<unknown, unknown[], unknown>(original, this, args);
      },
    });
    restore.push(() => (own === undefined ? Reflect.deleteProperty(of, name) : Object.defineProperty(of, name, own)));
  };
  // A living actor runs a machine of its own, with implementations: this is the one that decisions ask.
  count(incidentMachine, 'transition', 'questions');
  for (const name of ['get', 'all', 'iterate'] as const) count(StatementSync.prototype, name, 'reads');
  count(JSON, 'parse', 'parsed');
  try {
    const { change } = await send();
    return { change, ...counts };
  } finally {
    for (const back of restore) back();
  }
}

const pick = fc.nat(1000);
const news: fc.Arbitrary<DeliveryNews> = fc.oneof(
  fc.record({ type: fc.constant('missed' as const), error: fc.constant('503'), wait: fc.constantFrom(500, 24 * HOUR) }),
  fc.record({ type: fc.constant('refused' as const), error: fc.constant('404') }),
  fc.record({
    type: fc.constant('confirmed' as const),
    attempted: fc.boolean(),
    receipt: fc.constant({ by: 'confirmation' as const }),
  }),
  fc.record({ type: fc.constant('lost' as const), reason: fc.constant('silent') }),
  fc.record({ type: fc.constant('retried' as const), via: fc.constantFrom('push' as const, 'poll' as const) }),
);

/** What happens to incidents; `pick` chooses among those that are there. */
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('report' as const), class: fc.constantFrom(...CLASSES), pick }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom(...COMMANDS), pick }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('news' as const),
      action: fc.constantFrom(...ACTIONS),
      directive: fc.constantFrom(...DIRECTIVES),
      news,
      pick,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('refuse', 'lag', 'catch up', 'restart', 'archive' as const) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

const stateOf = ({ incident, snapshot: { value, context, status }, seq }: IncidentRecord) => ({
  incident,
  value,
  context,
  status,
  seq,
});

/** A record to which things happen. Two actors may be awake at a time, so that they come and go. */
class World {
  readonly #home: string;
  #recording: Recording;
  #ids: string[] = [];
  #refusing = false;
  #behind = false;

  static async open(home: string): Promise<World> {
    return new World(home, await openSmall(home));
  }

  private constructor(home: string, recording: Recording) {
    this.#home = home;
    this.#recording = recording;
    this.#watch();
  }

  async take(one: Step): Promise<void> {
    const { recorder, incidents, clock } = this.#recording;
    clock.milliseconds += MINUTE;
    const id = 'pick' in one ? this.#ids[one.pick % (this.#ids.length || 1)] : undefined;
    switch (one.kind) {
      case 'report': {
        const key = one.pick % 2 === 0 ? { dedup_key: `key ${one.pick % 3}` } : {};
        const recorded = await refusable(recorder.report({ ...report, class: one.class, ...key }));
        if (recorded?.change === 'created') this.#ids.push(recorded.incident.id);
        break;
      }
      case 'news':
        if (id === undefined) return;
        await refusable(incidents.actor(id).send({ ...one, type: 'deliver' }));
        break;
      case 'refuse':
        this.#refusing = true;
        return;
      case 'lag':
        this.#recording.fallBehind();
        this.#behind = true;
        return;
      case 'catch up':
        await this.#recording.catchUp();
        this.#behind = false;
        return;
      case 'restart':
        await this.#restart();
        break;
      case 'archive':
        await refusable(this.#archive());
        break;
      default:
        if (id !== undefined) await refusable(incidents.actor(id).send({ type: one.kind }));
    }
    this.#refusing = false;
  }

  expectAgreement(): void {
    const { incidents } = this.#recording;
    const folded = this.#folded();
    for (const id of this.#ids) {
      const expected = folded.get(id);
      try {
        const record = incidents.actor(id).read();
        expect(expected && stateOf(record), id).to.deep.equal(expected && stateOf(expected));
        expect(expected, `${id} has left the log and is still read`).to.not.equal(undefined);
      } catch (error) {
        if (!(error instanceof RecorderError)) throw error;
        // One that was archived is gone where its identifier is from the time of the archived entries.
        const left = ['not_found', 'gone'];
        expect(this.#behind ? ['log_unavailable'] : expected ? ['read'] : left).to.include(error.code);
      }
    }
    expect(incidents.figures.alive).to.be.at.most(2);
  }

  async close(): Promise<void> {
    const { incidents } = this.#recording;
    await this.#recording.close();
    expect(incidents.figures.alive, 'all of them are stopped').to.equal(0);
    expect(incidents.weight, 'and weigh nothing').to.equal(0);
  }

  /** What the log's own lines say of each incident. */
  #folded(): ReadonlyMap<string, IncidentRecord> {
    const records = new Map<string, IncidentRecord>();
    const { sealed } = this.#recording.log;
    for (const path of [...sealed.map((segment) => segment.path), Recording.logIn(this.#home)]) {
      for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
        const entry = JSON.parse(line) as Entry;
        if (!isAboutIncident(entry)) continue;
        const { incident } = entry.data;
        const before = records.get(incident);
        // The report of this one was archived: it begins again where it was carried over, if it was.
        if (before === undefined && !isOpening(entry)) continue;
        records.set(incident, fold(before, entry));
      }
    }
    return records;
  }

  async #restart(): Promise<void> {
    const { milliseconds } = this.#recording.clock;
    await this.#recording.close();
    this.#recording = await openSmall(this.#home);
    this.#recording.clock.milliseconds = milliseconds;
    this.#behind = false;
    this.#watch();
  }

  async #archive(): Promise<void> {
    const { clock, record } = this.#recording;
    clock.milliseconds += 48 * HOUR;
    await record.archivist.archive(clock.now() - 24 * HOUR);
  }

  /** Has the log refuse an append where a step says so, as on a full disk. */
  #watch(): void {
    const { log } = this.#recording;
    const append = log.append.bind(log);
    log.append = (drafts) =>
      this.#refusing ? Promise.reject(new RecorderError('log_unavailable', 'no room')) : append(drafts);
  }
}

const openSmall = (home: string): Promise<Recording> => Recording.open(home, { liveActors: 2, segmentBytes: 3000 });

/** What was refused, in one of the ways in which it may be, has changed nothing. */
async function refusable<Result>(work: Promise<Result>): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    expect(error).to.be.instanceOf(RecorderError);
    expect((error as RecorderError).code).to.be.oneOf([
      'illegal_transition',
      'log_unavailable',
      'not_found',
      'overloaded',
    ]);
    return undefined;
  }
}
