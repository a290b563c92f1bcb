import { expect } from 'chai';
import fc from 'fast-check';
import { parseQuery } from '../../../src/api/request/query.ts';

describe('parseQuery', () => {
  it('reads what URLSearchParams writes', () => {
    const text = fc.string({ unit: 'binary' }).filter((part) => part.isWellFormed());
    const pairs = fc.array(fc.tuple(text, text), { maxLength: 8 });
    fc.assert(
      fc.property(pairs, (sent) => {
        const read = parseQuery(new URLSearchParams(sent).toString());
        for (const [name] of sent) {
          expect(read[name]).to.deep.equal(sent.filter(([other]) => other === name).map(([, value]) => value));
        }
        expect(Object.keys(read)).to.have.length(new Set(sent.map(([name]) => name)).size);
      }),
    );
  });

  it('takes parameters without a value, and none between two ampersands', () => {
    expect({ ...parseQuery('&a&&b=&a==&') }).to.deep.equal({ a: ['', '='], b: [''] });
    expect({ ...parseQuery('') }).to.deep.equal({});
  });
});
