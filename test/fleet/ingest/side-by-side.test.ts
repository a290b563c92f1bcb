import { expect } from 'chai';
import { sideBySide, Turns } from '../../../src/fleet/ingest/side-by-side.ts';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('statements side by side', () => {
  it('have all ended when one has failed, whose error is given, not that of those after it', async () => {
    const ended: string[] = [];
    const failed = await sideBySide([
      async () => {
        await tick();
        await tick();
        ended.push('first');
        throw Object.assign(new Error('no such row'), { code: '22003' });
      },
      async () => {
        await tick();
        ended.push('second');
        throw Object.assign(new Error('the transaction has failed'), { code: '25P02' });
      },
      async () => {
        for (let count = 0; count < 5; count++) await tick();
        ended.push('third');
      },
    ]).catch((error: unknown) => error);
    expect(ended.toSorted()).to.deep.equal(['first', 'second', 'third']);
    expect(String(failed)).to.equal('Error: no such row');
  });

  it('are made one after the other', async () => {
    const said: string[] = [];
    const statement = (name: string) => async (): Promise<void> => {
      said.push(`${name} made`);
      await Promise.resolve();
      said.push(`${name} sent`);
    };
    await sideBySide([statement('one'), statement('two')]);
    expect(said).to.deep.equal(['one made', 'one sent', 'two made', 'two sent']);
  });
});

describe('turns', () => {
  it('are taken by so many at once, in the order in which they came, also after one that failed', async () => {
    const turns = new Turns(2);
    const begun: number[] = [];
    let running = 0;
    let most = 0;
    const work = (number: number) => async (): Promise<void> => {
      begun.push(number);
      running += 1;
      most = Math.max(most, running);
      await tick();
      running -= 1;
      if (number === 1) throw new Error('failed');
    };
    const all = await Promise.allSettled([0, 1, 2, 3, 4].map((number) => turns.take(work(number))));
    expect(all.map(({ status }) => status === 'fulfilled')).to.deep.equal([true, false, true, true, true]);
    expect(begun).to.deep.equal([0, 1, 2, 3, 4]);
    expect(most).to.equal(2);
  });
});
