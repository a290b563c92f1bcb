import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { ACTIONS, CLASSES, type ContainmentAction, type IncidentClass } from '../../machines/vocabulary.ts';
import type { CommandName } from '../../machines/decision.ts';
import { HOUR, MINUTE } from '../../src/clock.ts';
import { PostureReads } from '../../src/containment/posture-reads.ts';
import { Confirmations } from '../../src/containment/confirmations.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { databasePath } from '../../src/projections/database.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import type { Targets } from '../../src/policy/targets.ts';
import { readTables, type Tables } from '../faults/support/tables.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const endpoint = { url: parseTargetUrl('http://127.0.0.1:1/')!, action: 'x' };
/** One action is sent both ways, one is only engaged, the others are fetched. */
const targets: Targets = {
  freeze_agent: { engage: endpoint, release: endpoint },
  force_vault_relock: { engage: endpoint },
};

/** What people and services do; `pick` chooses among what is there. */
type Step =
  | { readonly kind: 'report'; readonly class: IncidentClass }
  | { readonly kind: CommandName; readonly pick: number }
  | { readonly kind: 'confirm' | 'contradict' | 'retry'; readonly action: ContainmentAction }
  | { readonly kind: 'miss' | 'refuse'; readonly action: ContainmentAction; readonly pick: number };

const pick = fc.nat(1000);
const action = fc.constantFrom(...ACTIONS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('report' as const), class: fc.constantFrom(...CLASSES) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('contain' as const, 'acknowledge' as const), pick }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('resolve' as const), pick }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('confirm' as const, 'contradict' as const, 'retry' as const),
      action,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('miss' as const, 'refuse' as const), action, pick }) },
);

/** The model: who holds each action, and nothing else. */
class Model {
  readonly incidents: { readonly id: string; readonly class: IncidentClass; state: string }[] = [];
  /** In the order of their reports. */
  readonly #holders = new Map<ContainmentAction, Set<string>>(ACTIONS.map((name) => [name, new Set()]));
  /** What is to be asked of services, as `action directive incident`. */
  readonly asked: string[] = [];
  /** Each release of the last holder. */
  readonly released: string[] = [];

  /** The places of those that are not resolved. */
  get unresolved(): readonly number[] {
    return [...this.incidents.keys()].filter((index) => this.incidents[index]!.state !== 'resolved');
  }

  heldBy(name: ContainmentAction): readonly string[] {
    const holders = this.#holders.get(name)!;
    return this.incidents.map(({ id }) => id).filter((id) => holders.has(id));
  }

  report(id: string, incidentClass: IncidentClass): void {
    const incident = { id, class: incidentClass, state: 'open' };
    this.incidents.push(incident);
    if (BUILT_IN_RULES[incidentClass].auto_contain) this.#contain(incident);
  }

  perform(command: CommandName, index: number): void {
    const incident = this.incidents[index]!;
    const mayContain = incident.state === 'open' || incident.state === 'acknowledged';
    if (command === 'contain' && mayContain) this.#contain(incident);
    if (command === 'acknowledge' && incident.state !== 'resolved') incident.state = 'acknowledged';
    if (command === 'resolve' && incident.state !== 'resolved') this.#resolve(incident);
  }

  #contain(incident: { readonly id: string; readonly class: IncidentClass; state: string }): void {
    incident.state = 'contained';
    for (const name of BUILT_IN_RULES[incident.class].actions) {
      // An acknowledged incident that holds it already does not ask again.
      if (this.#holders.get(name)!.has(incident.id)) continue;
      this.#holders.get(name)!.add(incident.id);
      this.asked.push(`${name} engage ${incident.id}`);
    }
  }

  #resolve(incident: { readonly id: string; readonly class: IncidentClass; state: string }): void {
    incident.state = 'resolved';
    for (const name of BUILT_IN_RULES[incident.class].actions) {
      if (!this.#holders.get(name)!.delete(incident.id)) continue;
      this.asked.push(`${name} release ${incident.id}`);
      if (this.#holders.get(name)!.size === 0 && name !== 'log_alert') this.released.push(`${name} ${incident.id}`);
    }
  }
}

/** A recording that takes generated steps, beside the model. */
class Walk {
  readonly model = new Model();
  /** Each release that became a delivery. */
  readonly released: string[] = [];
  readonly #recording: Recording;
  readonly #receipts: Confirmations;
  readonly #view: PostureReads;

  constructor(recording: Recording) {
    this.#recording = recording;
    const { projections, incidents, log, clock } = recording;
    const current = () => projections.current();
    this.#receipts = new Confirmations({
      incidents,
      current,
      log,
      targets: () => targets,
      clock,
      wake: () => {},
    });
    this.#view = new PostureReads({ current, targets: () => targets, isProved: () => true, logId: () => 'a log' });
  }

  async take(next: Step): Promise<void> {
    const before = new Map(
      ACTIONS.map((name) => [name, this.#recording.projections.posture.of(name).release?.incident]),
    );
    await this.#carryOut(next);
    this.#recording.clock.milliseconds += MINUTE;
    for (const name of ACTIONS) {
      const release = this.#recording.projections.posture.of(name).release?.incident;
      if (release !== undefined && release !== before.get(name)) this.released.push(`${name} ${release}`);
    }
  }

  expectAgreement(): void {
    const { posture } = this.#recording.projections.current();
    for (const name of ACTIONS) {
      const heldBy = this.model.heldBy(name);
      const { engaged, holders, held_by, delivery, since } = this.#view.read(name);
      expect({ engaged, holders, held_by }, name).to.deep.equal({
        engaged: heldBy.length > 0,
        holders: heldBy.length,
        held_by: heldBy,
      });
      expect(posture.holders(name, 1000).map(({ incident }) => incident)).to.deep.equal(heldBy);
      const counts = Object.values(posture.of(name).counts).reduce((sum, count) => sum + count, 0);
      expect(counts, `${name}: a delivery of each holder`).to.equal(heldBy.length);
      expect(since !== null, `${name}: since when`).to.equal(this.model.asked.some((text) => text.startsWith(name)));
      if (engaged) expect(delivery?.directive).to.equal('engage');
    }
    expect(this.released).to.have.members(this.model.released);
    expect(this.#recording.carriedOut).to.deep.equal(this.model.asked);
  }

  async #carryOut(next: Step): Promise<void> {
    const { recorder, incidents: actors, projections } = this.#recording;
    switch (next.kind) {
      case 'report': {
        const report = { class: next.class, source: 'a-service', description: 'a report' };
        this.model.report((await recorder.report(report)).incident.id, next.class);
        return;
      }
      case 'contain':
      case 'acknowledge':
      case 'resolve': {
        const { incidents } = this.model;
        if (incidents.length === 0) return;
        const index = next.pick % incidents.length;
        await refusable(recorder.perform(next.kind, { id: incidents[index]!.id }));
        this.model.perform(next.kind, index);
        return;
      }
      case 'confirm':
      case 'contradict': {
        const directive = this.model.heldBy(next.action).length > 0 ? 'engage' : 'release';
        const observed = (directive === 'engage') === (next.kind === 'confirm') ? 'engaged' : 'released';
        await this.#receipts.confirm({ action: next.action, directive, observed });
        return;
      }
      case 'retry':
        await this.#receipts.retry({ action: next.action });
        return;
      case 'miss':
      case 'refuse': {
        const heldBy = this.model.heldBy(next.action);
        const release = projections.posture.of(next.action).release?.incident;
        const directive = heldBy.length > 0 ? 'engage' : 'release';
        const incident = directive === 'engage' ? heldBy[next.pick % heldBy.length] : release;
        if (incident === undefined) return;
        const error = 'answered 503';
        const news =
          next.kind === 'miss'
            ? ({ type: 'missed', error, wait: 500 } as const)
            : ({ type: 'refused', error } as const);
        await actors.actor(incident).send({ type: 'deliver', action: next.action, directive, news });
        return;
      }
      default:
        next satisfies never;
    }
  }
}

/** What the statechart refuses leaves everything as it is. */
const refusable = (command: Promise<unknown>): Promise<unknown> =>
  command.catch((error: { code?: string }) => {
    expect(error.code).to.equal('illegal_transition');
  });

describe('the posture', () => {
  const directory = temporaryDirectories();

  const begin = async (segmentBytes = Infinity) => {
    const home = directory();
    const open = (): Promise<Recording> => Recording.open(home, { targets, segmentBytes });
    const recording = await open();
    return { home, open, recording, walk: new Walk(recording) };
  };

  /** What is rebuilt from the log is what was there before. */
  const expectRebuilt = async (home: string, open: () => Promise<Recording>): Promise<void> => {
    const database = databasePath(Recording.logIn(home));
    const before = readTables(database);
    for (const suffix of ['', '-wal', '-shm']) rmSync(database + suffix, { force: true });
    await (await open()).close();
    expectSame(readTables(database), before);
  };

  it('is held by the unresolved incidents that asked for it, and released with the last, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { home, open, recording, walk } = await begin();
        try {
          for (const next of steps) {
            await walk.take(next);
            walk.expectAgreement();
          }
        } finally {
          await recording.close();
        }
        await expectRebuilt(home, open);
      }),
      { numRuns: 25 },
    );
  });

  it('is the same from what remains of the log when segments have been archived, with and without their files', async () => {
    let archived = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 40 }),
        fc.array(step, { maxLength: 10 }),
        async (steps, more) => {
          const { home, open, recording, walk } = await begin(3000);
          const { log, projections, incidents, clock } = recording;
          try {
            for (const next of steps) await walk.take(next);
            // What is not resolved keeps everything in the log that came after it.
            const staying = [0, 1, Infinity][walk.model.incidents.length % 3]!;
            const { unresolved } = walk.model;
            for (const place of unresolved.slice(0, Math.max(unresolved.length - staying, 0))) {
              await walk.take({ kind: 'resolve', pick: place });
            }
            const before = ACTIONS.map((name) => projections.posture.of(name));
            clock.milliseconds += 48 * HOUR;
            const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
            archived += (await archivist.archive(clock.now() - 24 * HOUR)).archived.length;
            for (const [n, name] of ACTIONS.entries()) {
              // What has become of a release may leave with its incident.
              const after = { ...projections.posture.of(name), release: null, changed: null };
              expect(after, name).to.deep.equal({ ...before[n], release: null, changed: null });
            }
            // An incident that has left the record can't be given commands.
            for (const next of more) if (next.kind === 'report' || 'action' in next) await walk.take(next);
          } finally {
            await recording.close();
          }
          await expectRebuilt(home, open);
          const archive = join(home, 'archive');
          for (const name of filesIn(archive)) renameSync(join(archive, name), join(home, name));
          await (await open()).close();
          await expectRebuilt(home, open);
        },
      ),
      { numRuns: 15 },
    );
    expect(archived).to.be.greaterThan(0);
  });
});

const filesIn = (path: string): readonly string[] => {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
};

function expectSame(rebuilt: Tables, before: Tables): void {
  for (const table of ['posture', 'deliveries', 'incidents']) {
    expect(rebuilt.get(table), table).to.deep.equal(before.get(table));
  }
}
