import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { chainEntry, EMPTY_HEAD, EntryFault, parseEntry } from '../../src/audit/entry.ts';
import type { Draft, JsonObject } from '../../src/domain/entries.ts';
import { draft, HASH, KEY } from '../support/audit-log.ts';

/** An entry with any JSON in it: the chain takes every value. */
const draftOf = (data: JsonObject): Draft =>
  ({ timestamp: '2026-11-22T07:12:00.123Z', event: 'alert.raised', data }) as unknown as Draft;

describe('chainEntry', () => {
  it('writes the format that the appliance verifies: canonical data, event, prev_hash and timestamp under the key', () => {
    const { line } = chainEntry(draftOf({ b: 'é/', a: [1, 0.00001] }), { entries: 16, hash: 'ab'.repeat(32) }, HASH);
    const canonical =
      '{"data":{"a":[1,1e-05],"b":"\\u00e9/","seq":17},"event":"alert.raised",' +
      `"prev_hash":"${'ab'.repeat(32)}","timestamp":"2026-11-22T07:12:00.123Z"}`;
    const hash = createHmac('sha256', KEY).update(canonical).digest('hex');
    expect(line).to.equal(
      '{"timestamp":"2026-11-22T07:12:00.123Z","event":"alert.raised","data":{"seq":17,"b":"é/","a":[1,0.00001]},' +
        `"prev_hash":"${'ab'.repeat(32)}","entry_hash":"${hash}","algorithm":"hmac-sha256"}\n`,
    );
  });

  it('chains with plain SHA-256 when there is no key, and says so', () => {
    const { entry } = chainEntry(draft('x'), EMPTY_HEAD, chainHash(undefined));
    expect(entry.algorithm).to.equal('sha256');
    expect(entry.prev_hash).to.equal('');
  });
});

describe('parseEntry', () => {
  const { line, entry } = chainEntry(draftOf({ text: 'a b', number: 1e16 }), EMPTY_HEAD, HASH);
  const text = line.slice(0, -1);
  const second = chainEntry(draft('second'), { entries: 1, hash: entry.entry_hash }, HASH);

  it('reads back what was written', () => {
    expect(parseEntry(text, EMPTY_HEAD, HASH)).to.deep.equal(entry);
  });

  for (const [what, spoilt, reason] of [
    ['an edited value', text.replace('a b', 'a c'), /entry_hash does not match/],
    ['white space', text.replace('"event"', ' "event"'), /not spelt/],
    ['an escape for a letter', text.replace('a b', '\\u0061 b'), /not spelt/],
    ['another spelling of a number', text.replace('1e+16', '10000000000000000'), /not spelt/],
    ['a duplicate key', text.replace('"text"', '"text":"z","text"'), /not spelt/],
    ['a duplicate field', text.replace('"event"', '"event":"x","event"'), /not spelt/],
    ['an extra field', text.replace('"algorithm"', '"extra":1,"algorithm"'), /"extra" does not belong/],
    ['a missing field', text.replace(',"algorithm":"hmac-sha256"', ''), /algorithm is missing/],
    ['fields in another order', text.replace(/^\{("timestamp":"[^"]*"),("event":"[^"]*")/, '{$2,$1'), /not spelt/],
    ['another algorithm', text.replace('hmac-sha256', 'sha256'), /chained with sha256, expected hmac-sha256/],
    ['an unknown event', text.replace('alert.raised', 'alert.erased'), /event is not one/],
    ['a cut', text.slice(0, -10), /not a line of JSON/],
    ['nothing', '', /not a line of JSON/],
    ['a list', '[]', /not a JSON object/],
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(() => parseEntry(spoilt, EMPTY_HEAD, HASH)).to.throw(EntryFault, reason);
    });
  }

  it('refuses a valid entry in the wrong place', () => {
    const next = second.line.slice(0, -1);
    expect(() => parseEntry(next, EMPTY_HEAD, HASH)).to.throw(EntryFault, /entries are missing before it/);
    const later = { entries: 5, hash: second.entry.entry_hash };
    expect(() => parseEntry(next, later, HASH)).to.throw(EntryFault, /repeated or out of order/);
    expect(() => parseEntry(next, { entries: 1, hash: '00'.repeat(32) }, HASH)).to.throw(EntryFault, /prev_hash/);
  });

  it('refuses an entry that was made with another key', () => {
    const other = chainHash(Buffer.alloc(32, 1));
    expect(() => parseEntry(text, EMPTY_HEAD, other)).to.throw(EntryFault, /another key/);
  });
});
