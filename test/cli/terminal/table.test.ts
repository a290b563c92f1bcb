import { expect } from 'chai';
import fc from 'fast-check';
import { type Column, table } from '../../../src/cli/terminal/table.ts';
import { fitted, padded, widthOf } from '../../../src/cli/terminal/width.ts';

describe('the width of text', () => {
  it('counts columns, not characters', () => {
    const widths = ['plain', '你好', 'ﾊﾛｰ', 'e\u0301', '👩‍💻', '🇩🇪', '❤️', '한글', ''].map(widthOf);
    expect(widths).to.deep.equal([5, 4, 3, 1, 2, 2, 2, 4, 0]);
  });

  it('makes any text fit, and cuts none in the middle of a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(30), (text, columns) => {
        const cut = fitted(text, columns);
        expect(widthOf(cut)).to.be.at.most(columns);
        expect(cut === text || columns === 0 || cut.endsWith('…')).to.equal(true);
        expect(widthOf(padded(cut, columns))).to.equal(columns);
      }),
    );
    expect(fitted('你好世界', 4)).to.equal('你…');
  });
});

describe('table', () => {
  interface Row {
    readonly id: string;
    readonly source: string;
    readonly text: string;
  }

  const columns: readonly Column<Row>[] = [
    { header: 'ID', value: ({ id }) => id },
    { header: 'SOURCE', value: ({ source }) => source, least: 8, optional: true },
    { header: 'TEXT', value: ({ text }) => text, least: 10, optional: true },
  ];
  const row: Row = { id: 'INC-1', source: 'tool-firewall', text: 'a long description of things' };

  it('gives each column what it needs while there is room', () => {
    expect(table(columns, [row, { id: 'INC-22', source: 's', text: '' }], 80)).to.deep.equal([
      'ID      SOURCE         TEXT',
      'INC-1   tool-firewall  a long description of things',
      'INC-22  s',
    ]);
  });

  it('cuts what may be cut, and then leaves out what may be left out', () => {
    expect(table(columns, [row], 40)[1]).to.equal('INC-1  tool-firewall  a long descriptio…');
    expect(table(columns, [row], 28)[1]).to.equal('INC-1  tool-fir…  a long de…');
    expect(table(columns, [row], 24)[1]).to.equal('INC-1  tool-firewall');
    expect(table(columns, [row], 10)[1]).to.equal('INC-1');
  });

  it('shows no raw control character, and keeps to its lines', () => {
    expect(table(columns, [{ ...row, text: 'a\n\u001b[2J' }], 200)[1]).to.match(/a\\n\\x1b\[2J$/);
  });

  it('is never wider than there is room', () => {
    const rows = fc.array(fc.record({ id: fc.constant('INC-1'), source: fc.string(), text: fc.string() }));
    fc.assert(
      fc.property(rows, fc.integer({ min: 8, max: 100 }), (some, room) => {
        for (const line of table(columns, some, room)) expect(widthOf(line)).to.be.at.most(room);
      }),
    );
  });
});
