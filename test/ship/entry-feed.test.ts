import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { type Batch, EntryFeed } from '../../src/ship/entry-feed.ts';
import { eventually } from '../support/eventually.ts';

const LIMITS = { lines: 3, bytes: 1000 };
const LONG = 60_000;

describe('the feed of entries', () => {
  const { signal } = new AbortController();
  let source: PassThrough;
  let feed: EntryFeed;

  beforeEach(() => {
    source = new PassThrough();
    feed = new EntryFeed(source, 11);
  });
  afterEach(() => feed.close());

  const take = async (limits = LIMITS): Promise<string> => {
    const batch = (await feed.take(limits, LONG, signal)) as Batch;
    return `${batch.from}-${batch.last} ${batch.lines.map(String).join('')}`;
  };

  it('counts the lines from the first, and gives as many as fit', async () => {
    source.write('a\nb\nc\nd\n');
    expect(await take()).to.equal('11-13 a\nb\nc\n');
    source.end('e\n');
    expect(await take()).to.equal('14-15 d\ne\n');
    expect(await feed.take(LIMITS, LONG, signal)).to.equal(undefined);
  });

  it('puts lines together that come in pieces, and passes over signs of life', async () => {
    for (const piece of ['a', 'b\n\n', '\nc', 'd', 'e\n']) source.write(piece);
    expect(await take({ lines: 2, bytes: 1000 })).to.equal('11-12 ab\ncde\n');
  });

  it('gives a line that is longer than a batch alone', async () => {
    source.write(`a\n${'b'.repeat(2000)}\nc\n`);
    expect(await take()).to.equal('11-11 a\n');
    expect(await take()).to.equal(`12-12 ${'b'.repeat(2000)}\n`);
  });

  it('says that nothing comes', async () => {
    expect(await feed.take(LIMITS, 1, signal)).to.equal('idle');
  });

  it('gives what has come in a moment, also when the clock is set back meanwhile', async () => {
    const { now } = Date;
    let hours = 0;
    Date.now = () => now() - hours++ * 3_600_000;
    try {
      source.write('a\n');
      expect(await take()).to.equal('11-11 a\n');
    } finally {
      Date.now = now;
    }
  });

  it('gives what has come, and then the fault of the connection', async () => {
    source.write('a\nb');
    expect(await take()).to.equal('11-11 a\n');
    source.end();
    let fault = '';
    await feed.take(LIMITS, LONG, signal).catch((error: Error) => (fault = error.message));
    expect(fault).to.include('ends within a line');
  });

  it('reads no more than it may keep', async () => {
    const line = `${'x'.repeat(64 * 1024 - 1)}\n`;
    for (let n = 0; n < 100; n++) source.write(line);
    const arrived = (): number => (feed.arrived - 10) * line.length;
    await eventually(() => arrived() >= 1_500_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(arrived()).to.be.within(1_500_000, 1_700_000);
  });

  it('ends with whoever waits', async () => {
    const stop = new AbortController();
    const taken = feed.take(LIMITS, LONG, stop.signal);
    stop.abort(new Error('enough'));
    let fault = '';
    await taken.catch((error: Error) => (fault = error.message));
    expect(fault).to.equal('enough');
  });
});
