import { expect } from 'chai';
import { COMMANDS } from '../../machines/commands.ts';
import { incidentMachine, SNOOZE_EVENTS } from '../../machines/incident.ts';
import { targetOf } from '../machines/support/edges.ts';
import type { Drawing } from '../../src/statecharts/chart.ts';
import { chartSvg, incidentSvg, type Whereabouts } from '../../src/statecharts/svg.ts';
import { ChartPath } from '../../src/statecharts/chart-path.ts';

const rule = (auto_contain: boolean) => ({ auto_contain, actions: ['freeze_agent'] });

const told = ({ current, taken, possible }: Whereabouts) => ({
  current: [...current],
  taken: [...taken],
  possible: [...possible],
});

describe('ChartPath', () => {
  it('given a rule that contains by itself, then the way there has been taken', () => {
    expect(told(new ChartPath(incidentMachine, rule(true)).whereabouts)).to.deep.include({
      current: ['contained', 'contained.delivering'],
      taken: ['open:always'],
    });
  });

  it('when events come, then it remembers what each did, and passes over what is not possible', () => {
    const walk = new ChartPath(incidentMachine, rule(false));
    const events = [...COMMANDS, ...SNOOZE_EVENTS, 'recur' as const].filter(
      (event) => targetOf('open', event) !== undefined,
    );
    expect(told(walk.whereabouts).possible).to.have.members(events.map((event) => `open:${event}`));
    for (const type of ['recur', 'acknowledge', 'acknowledge', 'resolve']) walk.take({ type });
    expect(told(walk.whereabouts)).to.deep.equal({
      current: ['resolved'],
      taken: ['open:recur', 'open:acknowledge', 'acknowledged:resolve'],
      possible: [],
    });
  });

  it('follows the states within a state', () => {
    const walk = new ChartPath(incidentMachine, rule(true));
    walk.take({ type: 'delivery', action: 'freeze_agent', standing: 'confirmed' } as never);
    const { current, taken } = told(walk.whereabouts);
    expect(current).to.deep.equal(['contained', 'contained.confirmed']);
    expect(taken).to.include.members(['contained:delivery']);
  });
});

describe('the drawing of an incident', () => {
  const group = (kind: string, id: string): string => `<g class="${kind}" data-id="${id}"><title>${id}</title></g>`;
  const body = [
    group('state', 'one'),
    group('state', 'one.inner'),
    group('state', 'other'),
    group('transition', 'a'),
    group('transition', 'b'),
    group('transition', 'c'),
  ].join('\n');
  const drawing: Drawing = { width: 500, height: 300, body, dot: '' };
  const whereabouts: Whereabouts = {
    current: new Set(['one', 'one.inner']),
    taken: new Set(['a']),
    possible: new Set(['a', 'b']),
  };

  it('tells by class and in words where it is, the way it took and what is possible', () => {
    const svg = incidentSvg('An incident', drawing, whereabouts);
    const groups = [...svg.matchAll(/<g class="([^"]*)" data-id="([^"]*)"><title>([^<]*)/g)].map((one) => one.slice(1));
    expect(groups).to.deep.equal([
      ['state around', 'one', 'one (present state)'],
      ['state current', 'one.inner', 'one.inner (present state)'],
      ['state', 'other', 'other'],
      ['transition taken', 'a', 'a (taken) (possible now)'],
      ['transition', 'b', 'b (possible now)'],
      ['transition closed', 'c', 'c (not possible now)'],
    ]);
    for (const words of ['present state', 'taken', 'possible now', 'not now']) expect(svg).to.include(`>${words}<`);
  });

  it('leaves the chart itself unmarked', () => {
    expect(chartSvg('incident', drawing)).to.include(body).and.not.to.include('present state<');
  });
});
