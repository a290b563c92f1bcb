import { expect } from 'chai';
import type { IncidentRow } from '../../../src/console/incidents/incident-row.ts';
import { type Line, linesOf } from '../../../src/console/incidents/list-lines.ts';

const at = (minute: number): string => new Date(Date.UTC(2026, 10, 30, 2, minute)).toISOString();

const row = (id: string, minute: number, fields: Partial<IncidentRow> = {}): IncidentRow => ({
  id,
  class: 'tool_call_burst',
  severity: 'medium',
  state: 'contained',
  source: 'tool-firewall',
  description: id,
  created_at: at(minute),
  touched_at: at(minute),
  occurrences: 1,
  version: 1,
  keys: 'caller',
  ...fields,
});

const shape = { isGrouped: true, unfolded: new Map<string, number>() };
const shown = (lines: readonly Line[]): readonly string[] =>
  lines.map((line) =>
    line.kind === 'burst' ? `×${line.burst.rows.length}` : line.kind === 'more' ? `${line.count} more` : line.key,
  );

describe('the lines of the list', () => {
  it('gather what is alike and came within ten minutes, where its first member stands', () => {
    const rows = [
      row('e', 50),
      row('x', 49, { source: 'airlock' }),
      row('d', 42),
      row('c', 30),
      row('b', 25),
      row('a', 16),
    ];
    const lines = linesOf(rows, shape);
    expect(shown(lines)).to.deep.equal(['×2', 'x', '×3']);
    expect(linesOf(rows, { ...shape, isGrouped: false })).to.have.length(6);
  });

  it('keep apart what has other evidence, another class or another source', () => {
    const others = [
      row('b', 1, { keys: 'url' }),
      row('c', 1, { class: 'prompt_injection' }),
      row('d', 1, { source: 'ui' }),
    ];
    expect(shown(linesOf([row('a', 1), ...others], shape))).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  it('show the worst of a burst, and what its members share', () => {
    const [line] = linesOf(
      [
        row('a', 3, { severity: 'high', evidence: [['tool', 'web.fetch']], assignee: 'bo' }),
        row('b', 2, { state: 'open', evidence: [['tool', 'sql.query']] }),
        row('c', 1, { held: { look: 'overdue', word: 'Overdue', done: 1, of: 2 } }),
        row('d', 0, { held: { look: 'done', word: 'Carried out', done: 2, of: 2 } }),
      ],
      shape,
    );
    if (line?.kind !== 'burst') throw new Error('no burst');
    const { severity, state, first, last, held, evidence, assignees } = line.burst;
    expect({ severity, state, first, last, held, assignees }).to.deep.equal({
      severity: 'high',
      state: 'open',
      first: at(0),
      last: at(3),
      held: { look: 'overdue', word: 'Overdue', done: 3, of: 4 },
      assignees: ['bo'],
    });
    expect(evidence).to.deep.equal([['tool', '2 values']]);
  });

  it('unfold seven members, and say how many there are besides', () => {
    const rows = Array.from({ length: 300 }, (_, n) => row(`r${n}`, 0));
    const [burst] = linesOf(rows, shape);
    const lines = linesOf(rows, { ...shape, unfolded: new Map([[burst!.key, 7]]) });
    expect(shown(lines)).to.have.length(9);
    expect(shown(lines).at(-1)).to.equal('293 more');
    expect(linesOf(rows, { ...shape, unfolded: new Map([[burst!.key, 300]]) })).to.have.length(301);
  });

  it('put what was touched since the person left above a line, and no line when nothing was', () => {
    const rows = [
      row('a', 1, { source: 'a' }),
      row('b', 9, { source: 'b' }),
      row('c', 2, { source: 'c', touched_at: at(8) }),
    ];
    expect(shown(linesOf(rows, { ...shape, since: at(5) }))).to.deep.equal(['b', 'c', 'since', 'a']);
    expect(shown(linesOf(rows, { ...shape, since: at(30) }))).to.deep.equal(['a', 'b', 'c']);
  });
});
