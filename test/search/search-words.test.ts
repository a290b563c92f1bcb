import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { indexedWords } from '../../src/search/search-words.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const MEBIBYTE = 1024 * 1024;

describe('the words of a text for the search index', () => {
  it('keep nothing of the texts that they were found in', () => {
    const bytes = (): number => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = bytes();
    for (let made = 0; made < 200; made++) indexedWords(`${'x '.repeat(50_000)} größeübergrößenwert${made} ende`);
    // All of them together are 20 MiB.
    expect(bytes() - before).to.be.below(5 * MEBIBYTE);
  });
});
