import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { verifyLog } from '../../src/audit/verify.ts';
import { verifyChain } from '../../src/audit/verify-chain.ts';
import { HOUR } from '../../src/clock.ts';
import type { DeliveryNews } from '../../src/domain/delivery.ts';
import { RecorderError } from '../../src/errors.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import { HASH } from '../support/audit-log.ts';
import { operator, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const endpoint = { url: parseTargetUrl('http://127.0.0.1:1/')!, action: 'x' };
const targets = {
  quarantine_model: { engage: endpoint, release: endpoint },
  freeze_agent: { engage: endpoint, release: endpoint },
};
const CLASSES = ['prompt_injection', 'model_behavior_anomaly', 'forbidden_airlock_request', 'tool_call_burst'] as const;
const NEWS: readonly DeliveryNews[] = [
  { type: 'missed', error: 'answered 500: x', wait: 5 },
  { type: 'confirmed', attempted: true, receipt: { by: 'answer', status: 200 } },
  { type: 'refused', error: 'answered 404' },
  { type: 'lost', reason: 'gone' },
  { type: 'retried', via: 'push' },
  { type: 'overdue', waited: 5, after: 4, first: true },
];
const STEPS = 300;

/** Numbers that look random, the same each time for a seed. */
const numbersFrom = (seed: number) => {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

/** What one seed does to a log: everything that people, services, crashes and the archivist do. */
class Story {
  readonly #home: string;
  readonly #random: (below: number) => number;
  readonly #ids: string[] = [];
  #recording: Recording;
  #keys = 0;
  carried = 0;

  private constructor(home: string, random: (below: number) => number, recording: Recording) {
    this.#home = home;
    this.#random = random;
    this.#recording = recording;
  }

  static async begin(home: string, seed: number): Promise<Story> {
    const random = numbersFrom(seed);
    return new Story(home, random, await Story.#open(home, random));
  }

  static #open(home: string, random: (below: number) => number): Promise<Recording> {
    return Recording.open(home, { segmentBytes: 5000 + random(8000), targets, liveActors: 1 + random(6) });
  }

  close(): Promise<void> {
    return this.#recording.close();
  }

  async step(): Promise<void> {
    const random = this.#random;
    const { recorder, clock } = this.#recording;
    clock.milliseconds += random(3 * HOUR);
    const what = this.#ids.length === 0 ? 0 : random(17);
    if (what < 5) await this.#report();
    else if (what < 8) {
      const command = what === 6 ? 'contain' : 'acknowledge';
      await this.#ask(recorder.perform(command, { id: this.#any(), caller: operator('ada'), note: 'n' }));
    } else if (what < 11) await this.#ask(recorder.perform('resolve', { id: this.#any(), caller: operator('bob') }));
    else if (what < 14) await this.#deliver();
    else if (what === 14 && random(3) === 0) await this.#archive();
    else if (what === 15 && random(8) === 0) await this.expectSame();
    else if (what === 16 && random(12) === 0) await this.#reportFromTheFuture();
  }

  /** The database is what the log makes of it, also without what is in the archive, and with it. */
  async expectSame(): Promise<void> {
    const before = await this.#reopen(() => this.#tables());
    const isBack = this.#random(3) === 0;
    await this.#reopen(() => {
      if (isBack) this.#bringBack();
      if (this.#random(2) === 0) this.#deleteDatabase();
    });
    expect(this.#recording.log.status.state).to.equal('open');
    expect(await this.#reopen(() => this.#tables())).to.equal(before);
    const { log, projections } = this.#recording;
    expect((await verifyLog(Recording.logIn(this.#home), HASH)).damage).to.equal(undefined);
    const proof = projections.proof(log, projections.tables);
    const rest = (): Promise<void> => Promise.resolve();
    await verifyChain([...log.sealed, log.fileOf(Infinity)], HASH, (entries) => proof.take(entries));
    expect(await proof.end(rest, [])).to.equal(undefined);
    expect(await proof.endLater(rest)).to.equal(undefined);
  }

  async #report(): Promise<void> {
    const random = this.#random;
    const report = {
      class: CLASSES[random(4)]!,
      source: `source-${random(4)}`,
      description: `d${'x'.repeat(random(400))}`,
      ...(random(2) === 0 ? {} : { dedup_key: `key-${random(9)}` }),
      ...(random(2) === 0 ? {} : { evidence: { model_name: `m${random(3)}` } }),
      ...(random(3) === 0 ? { severity: random(2) === 0 ? ('low' as const) : ('critical' as const) } : {}),
    };
    const key = random(2) === 0 ? undefined : { key: `i${this.#keys++}`, fingerprint: 'f' };
    const { incident } = await this.#recording.recorder.report(report, key);
    if (!this.#ids.includes(incident.id)) this.#ids.push(incident.id);
  }

  /** Its segment stays whatever is archived. */
  async #reportFromTheFuture(): Promise<void> {
    const { clock } = this.#recording;
    const now = clock.milliseconds;
    clock.milliseconds = Date.parse('2099-01-01T00:00:00Z');
    await this.#report();
    clock.milliseconds = now;
  }

  async #deliver(): Promise<void> {
    const random = this.#random;
    const action = random(2) === 0 ? ('freeze_agent' as const) : ('quarantine_model' as const);
    const directive = random(2) === 0 ? ('engage' as const) : ('release' as const);
    const message = { type: 'deliver', action, directive, news: NEWS[random(NEWS.length)]! } as const;
    await this.#ask(this.#recording.incidents.actor(this.#any()).send(message));
  }

  /** Archives, and perhaps is killed at one of its entries. */
  async #archive(): Promise<void> {
    const random = this.#random;
    const { log, projections, incidents, clock } = this.#recording;
    const append = log.append.bind(log);
    let left = random(3) === 0 ? random(6) : Infinity;
    log.append = (drafts) => (left-- > 0 ? append(drafts) : Promise.reject(new Error('killed')));
    const archivist = new Archivist({
      log,
      projections,
      incidents,
      clock,
      isVerified: () => true,
      mostCarried: 1 + random(30),
    });
    try {
      this.carried += (await archivist.archive(clock.now() - (24 + random(40)) * HOUR)).carried;
    } catch (error) {
      expect((error as Error).message).to.equal('killed');
    }
    await this.#reopen(() => {});
  }

  #any(): string {
    return this.#ids[this.#random(this.#ids.length)]!;
  }

  /** Most of what is asked is not possible just then, or the incident has left. */
  async #ask(asked: Promise<unknown>): Promise<void> {
    await asked.catch((error: unknown) => {
      if (!(error instanceof RecorderError)) throw error;
    });
  }

  async #reopen<Result>(work: () => Result): Promise<Result> {
    const { milliseconds } = this.#recording.clock;
    await this.#recording.close();
    const result = work();
    this.#recording = await Story.#open(this.#home, this.#random);
    this.#recording.clock.milliseconds = milliseconds;
    return result;
  }

  #bringBack(): void {
    const archive = join(this.#home, 'archive');
    const names = readdirSync(this.#home).includes('archive') ? readdirSync(archive) : [];
    for (const name of names) renameSync(join(archive, name), join(this.#home, name));
  }

  #deleteDatabase(): void {
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(this.#home, `audit.sqlite${suffix}`), { force: true });
  }

  #tables(): string {
    const database = new DatabaseSync(join(this.#home, 'audit.sqlite'), { readOnly: true });
    const names = database
      .prepare(
        `SELECT name FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
      )
      .all();
    const text = names.map(({ name }) => {
      const rows = database.prepare(`SELECT * FROM ${String(name)}`).all();
      return [String(name), ...rows.map((row) => JSON.stringify(row)).toSorted()].join('\n');
    });
    database.close();
    return text.join('\n');
  }
}

describe('a log that is archived again and again', () => {
  const directory = temporaryDirectories();

  for (let seed = 1; seed <= 5; seed++) {
    it(`makes the same of its incidents at any time, killed or not (seed ${seed})`, async () => {
      const story = await Story.begin(directory(), seed);
      try {
        for (let step = 0; step < STEPS; step++) await story.step();
        await story.expectSame();
        expect(story.carried).to.be.greaterThan(0);
      } finally {
        await story.close();
      }
    });
  }
});
