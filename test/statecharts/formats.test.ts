import { expect } from 'chai';
import { createMachine } from 'xstate';
import { chartOf, type ChartState } from '../../src/statecharts/chart.ts';
import { type Drawings, drawings } from '../../src/statecharts/drawings.ts';
import { type ChartFormat, formatChart } from '../../src/statecharts/formats.ts';
import { MACHINES } from '../../src/statecharts/machines.ts';

const statesOf = (states: readonly ChartState[]): readonly ChartState[] =>
  states.flatMap((state) => [state, ...statesOf(state.states)]);

describe('the formats of a statechart', function () {
  this.timeout(20_000);
  let drawn: Drawings;

  before(async () => {
    drawn = await drawings();
  });

  for (const [name, machine] of Object.entries(MACHINES)) {
    const chart = chartOf(machine);
    const format = async (one: ChartFormat) => (await formatChart(machine, one, async () => drawn[name]!)).text;

    describe(name, () => {
      it('is JSON that makes the same machine again', async () => {
        const config = JSON.parse(await format('json'));
        expect(chartOf(createMachine(config))).to.deep.equal(chart);
        expect(config.context).to.be.an('object');
      });

      it('holds nothing but its context that JSON has no word for', () => {
        const functions: string[] = [];
        JSON.stringify(machine.config, (key, value: unknown) => {
          if (typeof value === 'function') functions.push(key);
          return value;
        });
        expect(functions).to.deep.equal(['context']);
      });

      it('is Mermaid with every state and transition', async () => {
        const text = await format('mermaid');
        for (const { id } of statesOf(chart.states)) expect(text).to.match(new RegExp(` as ${id.replace('.', '_')}\n`));
        expect(text.match(/^ {4}[^[\n]*-->[^[\n]*: /gm)?.length).to.equal(chart.transitions.length);
      });

      it('is SCXML with every state and transition, and well formed', async () => {
        const text = await format('scxml');
        for (const { id } of statesOf(chart.states)) expect(text).to.match(new RegExp(`<(state|final) id="${id}"`));
        expect(text.match(/<transition /g)?.length).to.equal(chart.transitions.length);
        const open: string[] = [];
        for (const [, close, tag, empty] of text.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
          if (close === '/') expect(open.pop()).to.equal(tag);
          else if (empty === '') open.push(tag!);
        }
        expect(open).to.deep.equal([]);
      });

      it('is drawn with every state and every transition once, each with its words', async () => {
        const svg = await format('svg');
        const found = (pattern: RegExp) => [...svg.matchAll(pattern)].flatMap(([, ids = '']) => ids.split(' '));
        expect(found(/<g class="state[^"]*" data-state="([^"]*)"><title>[^<]+<\/title>/g)).to.have.members(
          statesOf(chart.states).map(({ id }) => id),
        );
        expect(
          found(/<g class="(?:label|internal)[^"]*" data-transition="([^"]*)"[^>]*><title>[^<]+<\/title>/g),
        ).to.have.members(chart.transitions.map(({ id }) => id));
        expect(svg).to.match(/^<svg [^>]*role="img" aria-labelledby="title"><title id="title">/);
        expect(svg).to.include('prefers-color-scheme: dark');
        expect(svg.match(/<g[ >]/g)?.length).to.equal(svg.match(/<\/g>/g)?.length);
        expect(svg).not.to.match(/<script|<!--|href=/);
      });

      it("is Graphviz's source with every state and transition", async () => {
        const text = await format('dot');
        for (const { id } of statesOf(chart.states)) expect(text).to.match(new RegExp(`id="?=?"?${id}"`));
        const ids = [...text.matchAll(/ -> .*id="([^"]*)" class="transition/g)].map(([, id]) => id);
        expect(ids).to.have.members(chart.transitions.map(({ id }) => id));
      });
    });
  }
});
