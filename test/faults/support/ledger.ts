/**
 * The ledger: what reporters sent and what they were told, held against what the service has.
 */
import { rmSync } from 'node:fs';
import { expect } from 'chai';
import { databasePath } from '../../../src/projections/database.ts';
import { RunningService, type ServiceHome } from '../../support/running-service.ts';
import { Account, type Outcome } from './account.ts';
import { expectSameTables, readTables } from './tables.ts';

const REPORTERS = 8;
/** How many reports the batches have. */
const BATCHES = [40, 3, 17, 1] as const;

export class Ledger {
  readonly #evidenceBytes: number;
  readonly #accounts: Account[] = [];
  readonly #counts: Record<Outcome, number> = { acknowledged: 0, refused: 0, unanswered: 0 };

  /** @param evidenceBytes how long the evidence of a report is at most, about */
  constructor(evidenceBytes = 2000) {
    this.#evidenceBytes = evidenceBytes;
  }

  /** How many requests ended in which way. */
  get counts(): Readonly<Record<Outcome, number>> {
    return this.#counts;
  }

  get accounts(): readonly Account[] {
    return this.#accounts;
  }

  /**
   * Lets reporters report and take some of their incidents further, in parallel, for as long as `goOn` says; one whose
   * connection breaks leaves.
   */
  async load(service: RunningService, goOn: () => boolean = () => true, reporters = REPORTERS): Promise<void> {
    await Promise.all(Array.from({ length: reporters }, () => this.#reporter(service, goOn)));
  }

  /** Lets reporters report in batches of some sizes, in parallel, like `load`. */
  async loadBatches(
    service: RunningService,
    goOn: () => boolean = () => true,
    sizes: readonly number[] = BATCHES,
  ): Promise<void> {
    const reporter = async (own: number): Promise<void> => {
      for (let turn = own; goOn(); turn++) {
        const batch = Array.from({ length: sizes[turn % sizes.length]! }, () => {
          const account = new Account(this.#accounts.length, this.#evidenceBytes);
          this.#accounts.push(account);
          return account;
        });
        if (this.#count(await Account.sendTogether(service, batch)) === 'unanswered') return;
      }
    };
    await Promise.all(sizes.map((_, own) => reporter(own)));
  }

  /** Sends what was never answered once more in batches, under the same idempotency keys. */
  async sendAgainTogether(service: RunningService): Promise<void> {
    const waiting = this.#accounts.filter(({ standing }) => standing !== 'acknowledged');
    for (let at = 0; at < waiting.length; at += BATCHES[0])
      await Account.sendTogether(service, waiting.slice(at, at + BATCHES[0]));
  }

  /** Sends what was never answered once more, under the same idempotency keys. */
  async sendAgain(service: RunningService): Promise<void> {
    for (const account of this.#accounts) if (account.standing !== 'acknowledged') await account.send(service);
  }

  /** Holds that a service which had time to answer has not done what it did not answer. */
  expectUnansweredRefused(): void {
    for (const account of this.#accounts) account.expectUnansweredRefused();
  }

  /** Compares with what the service shows, and settles what was unanswered. */
  async check(service: RunningService): Promise<void> {
    const found = new Map<string, string>();
    for await (const incident of incidents(service)) {
      expect(found.has(incident.description), `${incident.description} is there twice`).to.equal(false);
      found.set(incident.description, JSON.stringify(incident));
    }
    for (const account of this.#accounts) {
      account.settle(found.get(account.report.description));
      found.delete(account.report.description);
    }
    expect([...found.values()], 'incidents that nobody reported').to.deep.equal([]);
  }

  /**
   * What must hold after every fault: a service that comes back shows what was acknowledged and nothing that was
   * refused, its log verifies from the first entry, and SQLite rebuilt from the log is what it was.
   */
  async expectNothingLost(home: ServiceHome): Promise<void> {
    const database = databasePath(home.log);
    await this.#checkOnce(home);
    await home.expectSound();
    const before = readTables(database);
    rmSync(database);
    await this.#checkOnce(home);
    expectSameTables(readTables(database), before);
  }

  async #checkOnce(home: ServiceHome): Promise<void> {
    const service = await RunningService.start(home);
    try {
      await this.check(service);
      expect(await service.end()).to.equal(0);
    } finally {
      await service.end('SIGKILL');
    }
  }

  async #reporter(service: RunningService, goOn: () => boolean): Promise<void> {
    while (goOn()) {
      const account = new Account(this.#accounts.length, this.#evidenceBytes);
      this.#accounts.push(account);
      let outcome: Outcome | undefined = this.#count(await account.send(service));
      for (let step = this.#accounts.length % 4; step > 1 && outcome === 'acknowledged'; step--) {
        outcome = this.#count(await account.advance(service));
      }
      if (outcome === 'unanswered') return;
    }
  }

  #count<Result extends Outcome | undefined>(outcome: Result): Result {
    if (outcome !== undefined) this.#counts[outcome]++;
    return outcome;
  }
}

/** All incidents that the service lists, page by page. */
async function* incidents(service: RunningService) {
  let path: string | undefined = '/api/v1/incidents';
  while (path !== undefined) {
    const { status, json, headers, text } = await service.send('GET', path);
    expect(status, text).to.equal(200);
    yield* json;
    path = /<([^>]+)>; rel="next"/.exec(headers.link as string)?.[1];
  }
}
