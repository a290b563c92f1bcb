import { expect } from 'chai';
import { createMachine, setup } from 'xstate';
import { ACTIONS } from '../../../machines/vocabulary.ts';
import { chartOf, type ChartState } from '../../../src/statecharts/chart.ts';
import { drawings } from '../../../src/statecharts/drawings.ts';
import { drawChart } from '../../../src/statecharts/drawing/draw-chart.ts';
import type { Placement } from '../../../src/statecharts/drawing/placement.ts';
import { PLACEMENTS } from '../../../src/statecharts/drawing/placements.ts';
import { MACHINES } from '../../../src/statecharts/machines.ts';
import { chartSvg } from '../../../src/statecharts/svg.ts';
import { chipsIn, isIn, isNear, labelsIn, overlaps, rowsIn, statesIn, strokesIn } from '../support/geometry.ts';

const statesOf = (states: readonly ChartState[]): readonly ChartState[] =>
  states.flatMap((state) => [state, ...statesOf(state.states)]);

/** The distance of a line from a label that is not its own. */
const CLEAR = 5;

for (const [name, machine] of Object.entries(MACHINES)) {
  describe(`the drawing of the machine ${name}`, () => {
    const chart = chartOf(machine);
    let svg: string;
    before(async () => {
      svg = chartSvg(name, (await drawings())[name]!);
    });

    it('has each state once, and each transition on one label or row', () => {
      expect(statesIn(svg).map((box) => box.name)).to.have.members(statesOf(chart.states).map(({ id }) => id));
      const ids = [...labelsIn(svg), ...rowsIn(svg)].flatMap((box) => box.name.split(' '));
      expect(ids).to.have.members(chart.transitions.map(({ id }) => id));
    });

    it('lists what stays in a state inside its box, and draws a line from each other state to its target', () => {
      const boxes = new Map(statesIn(svg).map((box) => [box.name, box]));
      for (const row of rowsIn(svg)) expect(isIn(row, boxes.get(row.name.split(':')[0]!)!), row.name).to.equal(true);
      const tails = [...svg.matchAll(/<g class="edge tail[^"]*" data-transition="([^"]*)" data-from="([^"]*)"/g)];
      const heads = [...svg.matchAll(/<g class="edge head[^"]*" data-transition="([^"]*)"/g)];
      const moving = chart.transitions.filter(({ from, to }) => from !== to);
      expect(tails.flatMap(([, ids = '']) => ids.split(' '))).to.have.members(moving.map(({ id }) => id));
      expect(heads.flatMap(([, ids = '']) => ids.split(' '))).to.have.members(moving.map(({ id }) => id));
      for (const [, ids = '', from] of tails)
        for (const id of ids.split(' ')) expect(moving.find((one) => one.id === id)?.from).to.equal(from);
    });

    it('has one label for the same event, guard, actions and target', () => {
      const keys = labelsIn(svg).map((box) => {
        const { event, guard, actions, to } = chart.transitions.find(({ id }) => id === box.name.split(' ')[0])!;
        return JSON.stringify([event, guard, actions, to]);
      });
      expect(new Set(keys).size).to.equal(keys.length);
    });

    it('has straight lines at right angles, off every label that is not theirs, and over no state', () => {
      const parents = (id: string): string => id.split('.').slice(0, -1).join('.');
      for (const stroke of strokesIn(svg)) {
        const [dx, dy] = [stroke.to[0] - stroke.from[0], stroke.to[1] - stroke.from[1]];
        expect(
          dx === 0 || dy === 0 || Math.abs(dx) + Math.abs(dy) <= 40,
          `${stroke.ids.join(' ')}: ${dx},${dy}`,
        ).to.equal(true);
        for (const label of labelsIn(svg)) {
          if (stroke.ids.some((id) => label.name.split(' ').includes(id))) continue;
          expect(isNear(stroke, label, CLEAR), `${stroke.ids.join(' ')} near ${label.name}`).to.equal(false);
        }
        for (const label of labelsIn(svg))
          expect(isNear(stroke, label, -1), `${stroke.ids.join(' ')} on ${label.name}`).to.equal(false);
        for (const row of [...rowsIn(svg), ...chipsIn(svg)]) expect(isNear(stroke, row, CLEAR)).to.equal(false);
        const inner = stroke.ids.map((id) => parents(chart.transitions.find((one) => one.id === id)!.to));
        for (const state of statesIn(svg)) {
          if (inner.includes(state.name)) continue;
          expect(isNear(stroke, state, -1), `${stroke.ids.join(' ')} over ${state.name}`).to.equal(false);
        }
      }
    });

    it('overlaps nowhere and stays on its paper', () => {
      const boxes = [...statesIn(svg), ...labelsIn(svg), ...rowsIn(svg), ...chipsIn(svg)];
      expect(overlaps(boxes)).to.deep.equal([]);
      const [, width, height] = /<svg [^>]*width="(\d+)" height="(\d+)"/.exec(svg)!;
      const paper = { name: '', x: 0, y: 0, width: Number(width), height: Number(height) };
      for (const box of boxes) expect(isIn(box, paper), box.name).to.equal(true);
      expect(svg).not.to.match(/ (?:x|y|x1|y1|cx|cy|width|height|r)="[^"]*\.[^"]*"/);
      expect(svg).not.to.match(/ d="[^"]*\.[^"]*"/);
    });

    it('has type of 12 pixels or more, whose contrast is enough in both themes', () => {
      for (const [, size] of svg.matchAll(/font(?:-size)?: (?:\w+ )?(\d+)px/g)) expect(Number(size)).to.be.at.least(12);
      const [, light = '', dark = ''] = /<style>(.*)@media[^{]*\{(.*)\}\s*<\/style>/s.exec(svg)!;
      for (const style of [light, dark]) {
        const colour = (selector: string, property: string): string =>
          new RegExp(
            `(?:^|[,}\\n]\\s*)(?:\\.chart )?${selector.replaceAll('.', '\\.')}(?:,[^{}]*)? \\{[^}]*${property}: (#\\w+)`,
            'm',
          ).exec(style)![1]!;
        const [paper, raised] = [colour('.paper', 'fill'), colour('.state.compound > .box', 'fill')];
        const soft = colour('.pill', 'fill');
        for (const ground of [paper, raised]) {
          for (const text of ['.chart text', '.chart .word'])
            expect(contrast(colour(text, 'fill'), ground)).to.be.at.least(5.5);
          expect(contrast(colour('.edge .tip', 'fill'), ground)).to.be.at.least(3.4);
        }
        expect(contrast(colour('.chart .ev', 'fill'), soft)).to.be.at.least(5.5);
        expect(contrast(colour('.chart .word', 'fill'), soft)).to.be.at.least(5.5);
        expect(contrast(colour('.chart .chip text', 'fill'), colour('.chip rect', 'fill'))).to.be.at.least(5.5);
      }
    });

    it('is the same bytes each time', async () => {
      expect((await drawings())[name]).to.deep.equal((await drawings())[name]);
    });
  });
}

/** WCAG 2's contrast of two colours, `#rgb` or `#rrggbb`. */
function contrast(one: string, other: string): number {
  const [a = 0, b = 0] = [luminance(one), luminance(other)].toSorted((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}

function luminance(colour: string): number {
  const digits = colour.slice(1);
  const pairs = digits.length === 3 ? [...digits].map((digit) => digit + digit) : digits.match(/../g)!;
  const [red = 0, green = 0, blue = 0] = pairs.map((pair) => {
    const part = parseInt(pair, 16) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

describe('containment in the drawing of an incident', () => {
  it('is written where it is engaged and released', async () => {
    const { body } = (await drawings()).incident!;
    const chipsOf = (state: string) => {
      const [, inside = ''] = new RegExp(`data-state="${state}">(.*?)\n`).exec(`${body}\n`)!;
      return [...inside.matchAll(/class="chip" data-action="(\w+)" data-directive="(\w+)"/g)].map((one) =>
        one.slice(1),
      );
    };
    expect(chipsOf('contained')).to.deep.equal(ACTIONS.map((action) => [action, 'engage']));
    expect(chipsOf('resolved')).to.deep.equal(ACTIONS.map((action) => [action, 'release']));
    for (const state of ['open', 'acknowledged']) expect(chipsOf(state)).to.deep.equal([]);
  });

  it('is marked at the transitions that may ask for it, and only there', async () => {
    const { body } = (await drawings()).incident!;
    const marked = [
      ...body.matchAll(
        /<g class="(?:internal|label[^"]*)" data-transition="([^"]*)"(?:(?!<g class="(?:internal|label)).)*?<g class="effect" data-directive="engage">/g,
      ),
    ];
    expect(marked.map(([, id]) => id)).to.include.members(['open:recur', 'contained:recur:2', 'acknowledged:recur']);
    expect(marked.map(([, id]) => id)).not.to.include.members(['contained:recur']);
  });
});

describe('hints', () => {
  const machine = setup({ actions: { count: () => {} } }).createMachine({
    initial: 'one',
    id: 'small',
    states: {
      one: { on: { go: 'two', again: { actions: 'count' }, leave: 'two' } },
      two: { on: { back: 'one' }, initial: 'a', states: { a: {} } },
    },
  });
  const placement: Placement = {
    states: { one: { column: 0, row: 0 }, two: { column: 1, row: 0, fill: true }, 'two.a': { column: 0, row: 0 } },
    initial: { one: 'top', 'two.a': 'left' },
    lines: {
      'one:go': { from: 'right', to: 'left', gap: 1, beside: 'one' },
      'one:leave': { like: 'one:go' },
      'two:back': { from: 'left', to: 'right', gap: 1, beside: 'one' },
    },
  };
  const without = (part: 'states' | 'lines' | 'initial', id: string): Placement => ({
    ...placement,
    [part]: Object.fromEntries(Object.entries(placement[part]).filter(([name]) => name !== id)),
  });

  it('place a machine; labels with the same sources and target share a line', () => {
    const { body } = drawChart(machine, placement);
    expect(body.match(/class="label one"/g)).to.have.length(2);
    expect(body.match(/class="edge head"/g)).to.have.length(2);
    expect(overlaps([...statesIn(body), ...labelsIn(body)])).to.deep.equal([]);
  });

  it('are missed by name: states, transitions, initial states', () => {
    expect(() => drawChart(machine, without('states', 'two.a'))).to.throw('the state two.a has no place');
    expect(() => drawChart(machine, without('lines', 'two:back'))).to.throw('the transition two:back has no place');
    expect(() => drawChart(machine, without('lines', 'one:leave'))).to.throw('the transition one:leave has no place');
    expect(() => drawChart(machine, without('initial', 'two.a'))).to.throw('the initial state two.a has no arrow');
  });

  it('are needed for every state and every transition to another state', () => {
    const others = <Hints extends object>(hints: Hints, id: string): Hints =>
      Object.fromEntries(Object.entries(hints).filter(([name]) => name !== id)) as Hints;
    for (const [name, one] of Object.entries(MACHINES)) {
      const hints = PLACEMENTS[name]!;
      const chart = chartOf(one);
      for (const { id } of statesOf(chart.states)) {
        const fewer = { ...hints, states: others(hints.states, id) };
        expect(() => drawChart(one, fewer)).to.throw(`the state ${id} has no place`);
      }
      for (const { id } of chart.transitions.filter(({ from, to }) => from !== to)) {
        const fewer = { ...hints, lines: others(hints.lines, id) };
        expect(() => drawChart(one, fewer)).to.throw(`the transition ${id} has no place`);
      }
    }
  });

  it('that are for nothing do nothing', () => {
    const more: Placement = {
      ...placement,
      lines: { ...placement.lines, 'one:gone': { like: 'one:go' } },
      states: { ...placement.states, three: { column: 2, row: 0 } },
    };
    expect(drawChart(machine, more)).to.deep.equal(drawChart(machine, placement));
  });

  it('must fit: a label has one place, a line that is not straight a lane', () => {
    const changed = (id: string, hint: object): Placement => ({
      ...placement,
      lines: { ...placement.lines, [id]: hint as never },
    });
    expect(() => drawChart(machine, changed('one:go', { from: 'right' }))).to.throw('the label of one:go has no place');
    expect(() => drawChart(machine, changed('two:back', { like: 'one:go' }))).to.throw(
      "two:back can't be on the line of one:go",
    );
    const far = changed('two:back', { from: 'bottom', to: 'bottom', gap: 1, beside: 'one' });
    expect(() => drawChart(machine, far)).to.throw('the line of two:back is not straight at two');
  });

  it('are needed for no transition that stays in its state', () => {
    const more = createMachine({ id: 'one', initial: 'a', states: { a: { on: { x: {}, y: { actions: 'note' } } } } });
    const { body } = drawChart(more, { states: { a: { column: 0, row: 0 } }, initial: { a: 'left' }, lines: {} });
    expect(rowsIn(body).map(({ name }) => name)).to.deep.equal(['a:x', 'a:y']);
  });
});
