import { expect } from 'chai';
import { COMMANDS } from '../../machines/commands.ts';
import { incidentMachine, SNOOZE_EVENTS } from '../../machines/incident.ts';
import { targetOf } from '../machines/support/edges.ts';
import type { Drawing } from '../../src/statecharts/chart.ts';
import { drawings } from '../../src/statecharts/drawings.ts';
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
  const state = (id: string): string => `<g class="state" data-state="${id}"><title>${id}</title></g>`;
  const label = (ids: string): string =>
    `<g class="label" data-transition="${ids}" data-event="e"><title>${ids}</title></g>`;
  const body = [
    ...['one', 'one.inner', 'other'].map(state),
    ...['a', 'b x', 'c'].map(label),
    '<g class="edge base"></g>',
    '<g class="edge tail" data-transition="a" data-from="one"></g>',
    '<g class="internal" data-transition="x" data-event="e"><title>x</title></g>',
  ].join('\n');
  const drawing: Drawing = { width: 500, height: 300, body };
  const whereabouts: Whereabouts = {
    current: new Set(['one', 'one.inner']),
    taken: new Set(['a', 'x']),
    possible: new Set(['a', 'b']),
  };

  it('tells by class and in words where it is, the way it took and what is possible', () => {
    const svg = incidentSvg('An incident', drawing, whereabouts);
    const groups = [
      ...svg.matchAll(/<g class="([^"]*)" data-(?:state|transition)="([^"]*)"[^>]*>(?:<title>([^<]*))?/g),
    ];
    expect(groups.map((one) => one.slice(1))).to.deep.equal([
      ['state around', 'one', 'one (present state)'],
      ['state current', 'one.inner', 'one.inner (present state)'],
      ['state', 'other', 'other'],
      ['label taken possible', 'a', 'a (taken) (possible now)'],
      ['label taken possible', 'b x', 'b x (taken) (possible now)'],
      ['label', 'c', 'c (not possible now)'],
      ['edge tail taken possible', 'a', undefined],
      ['internal taken', 'x', 'x (taken) (not possible now)'],
    ]);
    expect(svg).to.include('<g class="edge base"></g>').and.to.include('data-from="one"');
    for (const words of ['present state', 'taken', 'possible now']) expect(svg).to.include(`>${words}<`);
  });

  it('leaves the chart itself unmarked', () => {
    expect(chartSvg('incident', drawing)).to.include(body).and.not.to.include('present state<');
  });

  it('marks the drawing of the machine: states, lines, labels and rows', async () => {
    const walk = new ChartPath(incidentMachine, rule(true));
    for (const type of ['recur', 'acknowledge']) walk.take({ type });
    const svg = incidentSvg('An incident', (await drawings()).incident!, walk.whereabouts);
    const marked = (kind: string): readonly string[] =>
      [...svg.matchAll(new RegExp(`<g class="([^"]*) ${kind}[^"]*" data-(?:state|transition)="([^"]*)"`, 'g'))].map(
        ([, classes = '', id = '']) => `${classes.split(' ')[0]} ${id.split(' ')[0]}`,
      );
    expect(marked('current')).to.deep.equal(['state acknowledged']);
    expect(marked('taken')).to.include.members(['edge open:always', 'label open:always', 'internal contained:recur']);
    expect(marked('possible')).to.include.members(['label open:contain', 'internal acknowledged:recur']);
  });
});
