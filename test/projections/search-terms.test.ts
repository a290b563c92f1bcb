import { expect } from 'chai';
import fc from 'fast-check';
import { RecorderError } from '../../src/errors.ts';
import { readSearch } from '../../src/search/search-terms.ts';

const word = (text: string) => ({ text, isBeginning: false });
const evidence = (path: string, ...values: string[]) => ({ of: 'evidence', path, values });

describe('readSearch', () => {
  for (const [q, words, terms] of [
    ['gateway agent*', [word('gateway'), { text: 'agent', isBeginning: true }], []],
    ['evidence.ip:203.0.113.7', [], [evidence('ip', '203.0.113.7')]],
    ['evidence.ip=203.0.113.7', [], [evidence('ip', '203.0.113.7')]],
    ['evidence.process.name:bash gateway', [word('gateway')], [evidence('process.name', 'bash')]],
    ['evidence.cmd:"rm -rf"', [], [evidence('cmd', 'rm -rf')]],
    ['evidence.cmd:"say \\"hi\\" C:\\\\x \\n"', [], [evidence('cmd', 'say "hi" C:\\x \\n')]],
    ['evidence."a key":x', [], [evidence('a key', 'x')]],
    ['evidence.a."b:c=d".e:x', [], [evidence('a.b:c=d.e', 'x')]],
    ['evidence.url:http://127.0.0.1:9/a=b', [], [evidence('url', 'http://127.0.0.1:9/a=b')]],
    ['evidence.n:1e2', [], [evidence('n', '1e2', '100')]],
    ['evidence.n:1200', [], [evidence('n', '1200')]],
    ['evidence.n:"1e2"', [], [evidence('n', '1e2')]],
    ['evidence.n:12345678901234567890', [], [evidence('n', '12345678901234567890')]],
    ['evidence.n:""', [], [evidence('n', '')]],
    ['evidence.ключ:Значение', [], [evidence('ключ', 'Значение')]],
    ['source:tool-firewall', [], [{ of: 'source', value: 'tool-firewall' }]],
    [
      'source:"a b" by:ada assignee:bob',
      [],
      [
        { of: 'source', value: 'a b' },
        { of: 'by', value: 'ada' },
        { of: 'assignee', value: 'bob' },
      ],
    ],
    ['class:prompt_injection', [], [{ of: 'class', value: 'prompt_injection' }]],
    ['id:INC-20261122-0123456789ab', [], [{ of: 'id', value: 'INC-20261122-0123456789ab' }]],
    // What only looks like a term is words.
    ['evidence.ip', [word('evidence'), word('ip')], []],
    ['evidence', [word('evidence')], []],
    ['xevidence.ip:7', [word('xevidence'), word('ip'), word('7')], []],
    ['other:word', [word('other'), word('word')], []],
    ['Source:word', [word('Source'), word('word')], []],
  ] as const) {
    it(`reads ${q}`, () => {
      expect(readSearch(q)).to.deep.equal({ words, terms });
    });
  }

  for (const [q, message] of [
    ['source:', /source: needs a value/],
    ['source: x', /source: needs a value/],
    ['evidence.ip:', /evidence\.ip: needs a value/],
    ['evidence.:x', /needs a path/],
    ['evidence.a.:x', /needs a path/],
    ['evidence.a:"x', /quotation mark is not closed/],
    ['evidence."a:x', /quotation mark is not closed/],
    ['evidence.a:"x"y', /space must follow/],
    ['class:nonsense', /class: must be one of attestation_failure/],
    ['by:a '.repeat(9), /at most 8 terms/],
    ['by:a -', /1 to 16 words/],
    ['', /1 to 16 words/],
  ] as const) {
    it(`refuses ${q}`, () => {
      expect(() => readSearch(q))
        .to.throw(RecorderError, message)
        .with.property('code', 'invalid_request');
    });
  }

  it('reads any text or refuses it, in time', () => {
    const piece = fc.constantFrom('evidence.', 'by:', '"', '\\', ':', '=', ' ', '.', 'a', '\u{20bb7}', '1', '*');
    const property = fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      try {
        readSearch(pieces.join('').slice(0, 256));
      } catch (error) {
        expect(error).to.have.property('code', 'invalid_request');
      }
    });
    fc.assert(property, { numRuns: 500 });
  });
});
