import { expect } from 'chai';
import { Turnstile, type Visitor } from '../../../src/api/server/turnstile.ts';
import { eventually } from '../../support/eventually.ts';

const round = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Turnstile', () => {
  let time: number;
  let turnstile: Turnstile;
  let events: string[];
  beforeEach(() => {
    time = 0;
    turnstile = new Turnstile({ monotonic: () => time });
    events = [];
  });
  afterEach(() => turnstile.close());

  /** One whose turn takes so many milliseconds. */
  const visitor = (name: string, takes = 1, account: Visitor['account'] = {}): Visitor => ({
    account,
    gone: () => name === 'gone',
    take: () => {
      events.push(name);
      time += takes;
    },
    refuse: () => events.push(`${name} refused`),
  });

  it('gives one turn in each round of the loop, in the order in which they came', async () => {
    for (const name of ['first', 'gone', 'second', 'third']) turnstile.enter(visitor(name));
    for (const taken of [['first'], ['first', 'second'], ['first', 'second', 'third']]) {
      await round();
      expect(events).to.deep.equal(taken);
    }
  });

  it('lets first who has used less, and gives new ones no credit', async () => {
    const greedy = {};
    const modest = {};
    turnstile.enter(visitor('greedy', 100, greedy));
    await round();
    turnstile.enter(visitor('modest', 1, modest));
    await round();
    turnstile.enter(visitor('greedy', 100, greedy));
    turnstile.enter(visitor('modest', 1, modest));
    await round();
    await round();
    expect(events).to.deep.equal(['greedy', 'modest', 'modest', 'greedy']);
    expect(greedy).to.deep.equal({ used: 200 });
    events = [];
    // A new one begins with what the last one had used before.
    turnstile.enter(visitor('new'));
    turnstile.enter(visitor('modest', 1, modest));
    await round();
    await round();
    expect(events).to.deep.equal(['modest', 'new']);
  });

  it('holds strangers back while trusted requests are in flight, but not for ever', async () => {
    turnstile.enter(visitor('first', 30));
    await round();
    turnstile.begin();
    turnstile.enter(visitor('second'));
    for (let count = 0; count < 3; count++) await round();
    expect(events).to.deep.equal(['first']);
    turnstile.end();
    await round();
    expect(events).to.deep.equal(['first', 'second']);
    turnstile.begin();
    turnstile.enter(visitor('third'));
    time += 1000;
    await eventually(() => events.length === 3);
    expect(events).to.deep.equal(['first', 'second', 'third']);
    turnstile.end();
  });

  it('refuses at once who would wait too long: the one that has used the most', async () => {
    const heavy = { used: 5000 };
    turnstile.enter(visitor('heavy', 1, heavy));
    for (let count = 1; count < 256; count++) turnstile.enter(visitor('one', 1, { used: 10 }));
    turnstile.enter(visitor('late', 1, { used: 1 }));
    expect(events).to.deep.equal(['heavy refused']);
    turnstile.enter(visitor('worse', 1, { used: 11 }));
    expect(events.slice(1)).to.deep.equal(['worse refused']);
    time += 4001;
    turnstile.sweep();
    expect(events.filter((event) => event === 'one refused')).to.have.length(16);
  });
});
