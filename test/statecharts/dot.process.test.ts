import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { chartOf, type ChartState } from '../../src/statecharts/chart.ts';
import { dotOf } from '../../src/statecharts/dot.ts';
import { MACHINES } from '../../src/statecharts/machines.ts';

const leavesOf = (states: readonly ChartState[]): readonly ChartState[] =>
  states.flatMap((state) => (state.states.length === 0 ? [state] : leavesOf(state.states)));

describe("a statechart in Graphviz's language", () => {
  for (const [name, machine] of Object.entries(MACHINES)) {
    it(`is laid out by Graphviz: ${name}`, function () {
      const chart = chartOf(machine);
      const { error, status, stdout, stderr } = spawnSync('dot', ['-Tplain'], {
        input: dotOf(chart),
        encoding: 'utf8',
      });
      if (error !== undefined) {
        console.warn(`SKIPPED: ${this.test?.fullTitle()}: this machine lacks the package graphviz`);
        return this.skip();
      }
      expect([status, stderr]).to.deep.equal([0, '']);
      const nodes = [...stdout.matchAll(/^node "?([^ "]+)/gm)].map(([, id]) => id);
      expect(nodes).to.include.members(leavesOf(chart.states).map(({ id }) => id));
      // With the arrows to the initial states.
      expect(stdout.match(/^edge /gm)?.length).to.be.at.least(chart.transitions.length + 1);
    });
  }
});
