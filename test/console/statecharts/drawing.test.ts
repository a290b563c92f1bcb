import { expect } from 'chai';
import { cornerOf, readDrawing, type Shape } from '../../../src/console/statecharts/drawing.ts';
import { drawChart } from '../../../src/build/draw-chart.ts';
import { chartOf } from '../../../src/statecharts/chart.ts';
import { MACHINES } from '../../../src/statecharts/machines.ts';
import { chartSvg } from '../../../src/statecharts/svg.ts';

const all = (shape: Shape): readonly Shape[] => [shape, ...shape.children.flatMap(all)];

describe('the drawing of a chart', () => {
  for (const [name, machine] of Object.entries(MACHINES)) {
    it(`holds every state and transition of the machine ${name}, and its words`, async () => {
      const chart = chartOf(machine);
      const shapes = all(readDrawing(chartSvg(name, await drawChart(chart))));
      const parts = shapes.flatMap(({ of }) => (of === undefined ? [] : [of]));
      const names = (kind: string) => parts.filter((part) => part.kind === kind).map(({ id }) => id);
      expect(names('transition')).to.have.members(chart.transitions.map(({ id }) => id));
      expect(names('state')).to.include.members(chart.states.map(({ id }) => id));
      const words = shapes.filter(({ tag }) => tag === 'text').map(({ text }) => text.trim());
      expect(words).to.include.members(chart.states.map((state) => state.name));
    });
  }

  it('takes over shapes and measures, and nothing that acts or styles', () => {
    const drawing = readDrawing(
      '<?xml version="1.0"?><svg viewBox="0 0 9 9" onload="x()"><style>* { fill: red }</style><script>alert(1)</script>' +
        '<a href="javascript:x()"><g><path d="M0,0"/></g></a><g class="state" data-id="a.b"><title>a</title>' +
        '<path style="x" fill="red" d="M1,2 3,4"/><text x="1">a &lt;&#160;b</text></g></svg>',
    );
    expect(drawing).to.deep.equal({
      tag: 'svg',
      attributes: { viewBox: '0 0 9 9' },
      text: '',
      children: [
        {
          tag: 'g',
          attributes: { class: 'state' },
          text: '',
          of: { kind: 'state', id: 'a.b' },
          children: [
            { tag: 'path', attributes: { d: 'M1,2 3,4' }, text: '', children: [] },
            { tag: 'text', attributes: { x: '1' }, text: 'a <\u00a0b', children: [] },
          ],
        },
      ],
    });
    expect(cornerOf(drawing.children[0]!)).to.deep.equal({ right: 3, top: 2 });
  });
});
