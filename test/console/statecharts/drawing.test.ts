import { expect } from 'chai';
import { boxOf, hasTitleRow, readDrawing, sentencesOf, shapesIn } from '../../../src/console/statecharts/drawing.ts';
import { chartOf } from '../../../src/statecharts/chart.ts';
import { drawings } from '../../../src/statecharts/drawings.ts';
import { MACHINES } from '../../../src/statecharts/machines.ts';
import { chartSvg } from '../../../src/statecharts/svg.ts';

describe('the drawing of a chart', () => {
  for (const [name, machine] of Object.entries(MACHINES)) {
    it(`holds every state and transition of the machine ${name}, and its words`, async () => {
      const chart = chartOf(machine);
      const drawing = readDrawing(chartSvg(name, (await drawings())[name]!));
      const shapes = shapesIn(drawing);
      const ids = shapes.flatMap(({ of }) => (of?.kind === 'transition' ? of.ids : []));
      expect(new Set(ids)).to.deep.equal(new Set(chart.transitions.map(({ id }) => id)));
      const states = shapes.filter(({ of }) => of?.kind === 'state');
      expect(states.map(({ of }) => of?.kind === 'state' && of.id)).to.include.members(
        chart.states.map(({ id }) => id),
      );
      for (const state of states) expect(boxOf(state)?.width).to.be.at.least(96);
      const words = shapes.filter(({ tag }) => tag === 'text').map(({ text }) => text);
      expect(words).to.include.members(chart.states.map((state) => state.name));
      const said = sentencesOf(drawing).flatMap((sentence) => sentence.ids);
      expect(said).to.have.members(chart.transitions.map(({ id }) => id));
    });
  }

  it('takes over shapes and measures, and nothing that acts or styles', () => {
    const drawing = readDrawing(
      '<?xml version="1.0"?><svg viewBox="0 0 9 9" onload="x()"><style>* { fill: red }</style><script>alert(1)</script>' +
        '<a href="javascript:x()"><g><path d="M0,0"/></g></a><g class="state" data-state="a.b"><title>a</title>' +
        '<rect class="box" style="x" fill="red" x="1" y="2" width="3" height="4"/><text x="1">a &lt;&#160;b</text></g></svg>',
    );
    const box = { class: 'box', x: '1', y: '2', width: '3', height: '4' };
    expect(drawing).to.deep.equal({
      tag: 'svg',
      attributes: { viewBox: '0 0 9 9' },
      text: '',
      children: [
        {
          tag: 'g',
          attributes: { class: 'state', 'data-state': 'a.b' },
          text: '',
          of: { kind: 'state', id: 'a.b' },
          children: [
            { tag: 'title', attributes: {}, text: 'a', children: [] },
            { tag: 'rect', attributes: box, text: '', children: [] },
            { tag: 'text', attributes: { x: '1' }, text: 'a <\u00a0b', children: [] },
          ],
        },
      ],
    });
    expect(boxOf(drawing.children[0]!)).to.deep.equal({ x: 1, y: 2, width: 3, height: 4 });
    expect(hasTitleRow(drawing.children[0]!)).to.equal(false);
  });
});
