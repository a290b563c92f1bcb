import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { incidentMachine } from '../../machines/incident.ts';
import { staysInside } from '../../src/build/draw-chart.ts';
import { incidentChart } from '../../src/build/incident-chart.ts';
import { chartOf, type ChartState, labelOf } from '../../src/statecharts/chart.ts';
import { ROOT } from '../support/running-service.ts';

const statesOf = (states: readonly ChartState[]): readonly ChartState[] =>
  states.flatMap((state) => [state, ...statesOf(state.states)]);

describe('machines/incident.svg', () => {
  const shipped = readFileSync(join(ROOT, 'machines/incident.svg'), 'utf8');

  it('is what the machine draws now (npm run chart writes it)', async () => {
    expect(shipped).to.equal(await incidentChart());
  });

  it('shows every state, and every transition as a line or in the box of its state', () => {
    const { states, transitions } = chartOf(incidentMachine);
    const drawn = [...shipped.matchAll(/<g class="(?:state|transition)" data-id="([^"]*)">/g)].map(([, id]) => id);
    expect(drawn).to.have.members([
      ...statesOf(states).map(({ id }) => id),
      ...transitions.filter((transition) => !staysInside(transition)).map(({ id }) => id),
    ]);
    const texts = [...shipped.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => text);
    const count = (label: string): number => texts.filter((text) => text === label).length;
    for (const transition of transitions.filter(staysInside)) {
      const alike = transitions.filter((other) => staysInside(other) && labelOf(other) === labelOf(transition));
      expect(count(labelOf(transition)), labelOf(transition)).to.equal(alike.length);
    }
  });

  it('is readable: text of 12 px or more, on a background of its own for light and for dark', () => {
    const [, labels] = /\.transition text \{ font-size: (\d+)px; stroke/.exec(shipped) ?? [];
    expect(Number(labels)).to.be.at.least(12);
    expect(shipped).to.match(/prefers-color-scheme: dark\) \{ svg \{ --paper: #[\da-f]+ \}/);
    const [, width] = /<svg [^>]*width="(\d+)"/.exec(shipped) ?? [];
    // The narrowest column in which a repository page shows it in full size.
    expect(Number(width)).to.be.at.most(800);
  });
});
