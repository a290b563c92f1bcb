import { expect } from 'chai';
import fc from 'fast-check';
import { readCursor, writeCursor } from '../../../src/api/incidents/cursor.ts';

describe('the cursor', () => {
  const place = fc
    .record({ rank: fc.nat(3), seq: fc.maxSafeNat(), head: fc.maxSafeNat() })
    .filter(({ seq, head }) => seq <= head)
    .chain((cursor) =>
      fc.oneof(
        fc.constant(cursor),
        fc.constantFrom('0123456789ab', '0123456789abe1bee765').map((log) => ({ ...cursor, log })),
      ),
    );

  it('comes back as it was given', () => {
    fc.assert(
      fc.property(place, (cursor) => {
        expect(readCursor(writeCursor(cursor))).to.deep.equal(cursor);
      }),
    );
  });

  it('is a word that fits into a link', () => {
    fc.assert(fc.property(place, (cursor) => /^[\w-]+$/.test(writeCursor(cursor))));
  });

  it('is refused when it is anything else', () => {
    const word = (text: string): string => Buffer.from(text).toString('base64url');
    const forged = [
      '4.1.2',
      '0.3.2',
      '-1.1.2',
      '0.1',
      '0.1.2.3',
      '0.1.2.0123456789a',
      '0.1.2.0123456789AB',
      '0.1.x',
      '0..2',
      '00.1.2',
      '0.1e1.20',
      ' 0.1.2',
      '0.1.9007199254740992',
    ];
    for (const text of ['', '!', `${word('0.1.2')}=`, `${word('0.1.2')} `, ...forged.map(word)]) {
      expect(() => readCursor(text), text).to.throw('invalid cursor');
    }
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => {
        expect(() => readCursor(text)).to.throw('invalid cursor');
      }),
    );
  });
});
