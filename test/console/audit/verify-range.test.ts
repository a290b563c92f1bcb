import { expect } from 'chai';
import fc from 'fast-check';
import { chainHash } from '../../../src/audit/chain-hash.ts';
import { chainEntry, EMPTY_HEAD, type Head } from '../../../src/audit/entry.ts';
import { verifyRange } from '../../../src/console/audit/verify-range.ts';
import type { JsonValue } from '../../../src/json/exact-json.ts';
import { jsonValue } from '../../json/arbitrary-json.ts';
import type { Draft, Entry } from '../../../src/domain/entries.ts';

const PLAIN = chainHash(undefined);
const KEYED = chainHash(Buffer.from('0123456789abcdef0123456789abcdef'));

const chain = (values: readonly JsonValue[], hash = PLAIN) => {
  let head: Head = EMPTY_HEAD;
  return values.map((value) => {
    const draft = { timestamp: '2026-11-22T07:12:00.123Z', event: 'alert.raised', data: { value } };
    const { entry, line } = chainEntry(draft as unknown as Draft, head, hash);
    head = { entries: entry.data.seq, hash: entry.entry_hash };
    return { entry: JSON.parse(line) as Entry, line };
  });
};

describe('verifying in the browser', () => {
  it('computes every hash of a plain chain, whatever the entries say', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(jsonValue, { minLength: 1, maxLength: 5 }), async (values) => {
        const verdict = await verifyRange(chain(values));
        expect(verdict).to.deep.equal({ first: 1, last: values.length, proves: 'hashes' });
      }),
      { numRuns: 50 },
    );
  });

  it('finds an edited entry', async () => {
    const lines = chain(['a', 'b', 'c']);
    const { entry } = lines[1]!;
    const edited = { ...entry, data: { ...entry.data, value: 'B' } } as unknown as Entry;
    const { damage } = await verifyRange(lines.with(1, { entry: edited, line: '' }));
    expect(damage).to.deep.equal({ seq: 2, reason: 'its entry_hash does not match its contents' });
  });

  it('finds a missing entry', async () => {
    const { damage } = await verifyRange(chain(['a', 'b', 'c']).toSpliced(1, 1));
    expect(damage).to.deep.equal({ seq: 3, reason: 'entry 2 is missing before it' });
  });

  it('begins anywhere', async () => {
    expect(await verifyRange(chain(['a', 'b', 'c']).slice(1))).to.include({ first: 2, last: 3, proves: 'hashes' });
  });

  it('says of a chain under a key only that it is linked', async () => {
    const lines = chain(['a', 'b', 'c'], KEYED);
    expect(await verifyRange(lines)).to.deep.equal({ first: 1, last: 3, proves: 'linkage' });
    const other = { ...lines[1]!.entry, entry_hash: 'f'.repeat(64) };
    const { damage } = await verifyRange(lines.with(1, { entry: other, line: '' }));
    expect(damage?.reason).to.match(/prev_hash/);
  });
});
