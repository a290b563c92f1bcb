import { expect } from 'chai';
import { CLASSES, SEVERITIES, STATES } from '../../machines/vocabulary.ts';
import { MINUTE } from '../../src/clock.ts';
import type { Incident } from '../../src/domain/incident.ts';
import type { KindCursor } from '../../src/projections/incidents-of-kinds.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('pages of incidents by kind', () => {
  const directory = temporaryDirectories();
  let recording: Recording;
  beforeEach(async () => {
    recording = await Recording.open(directory());
  });
  afterEach(() => recording.close());

  const report = async (given: object = {}): Promise<string> => {
    const { recorder } = recording;
    const base = { class: 'prompt_injection', source: 'web-gateway', description: 'ignore all' } as const;
    return (await recorder.report({ ...base, ...given })).incident.id;
  };
  const all = { states: STATES, classes: CLASSES, severities: SEVERITIES, drills: false };
  const idsOf = (documents: readonly string[]): readonly string[] =>
    documents.map((json) => (JSON.parse(json) as Incident).id);

  it('hold each incident once, as many as are asked for at a time', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 23; count++) {
      ids.push(await report({ severity: SEVERITIES[count % 4], class: CLASSES[count % 3] }));
    }
    await recording.recorder.perform('resolve', { id: ids[0]! });
    const unresolved = { ...all, states: STATES.filter((state) => state !== 'resolved') };
    for (const most of [1, 5, 22, 50]) {
      const found: string[] = [];
      let after: KindCursor | undefined;
      do {
        const { documents, next } = recording.projections.current().incidentsOf(unresolved, after, most);
        expect(documents.length).to.be.at.most(most);
        found.push(...idsOf(documents));
        after = next;
      } while (after !== undefined);
      expect(found.toSorted()).to.deep.equal(ids.slice(1).toSorted());
    }
  });

  it('hold drills only where they are asked for, and no other kinds', async () => {
    const id = await report({ severity: 'critical' });
    const drill = await recording.recorder.drill({ class: 'prompt_injection', asks: () => true });
    const page = (kinds: object) =>
      idsOf(recording.projections.current().incidentsOf({ ...all, ...kinds }, undefined, 10).documents);
    expect(page({})).to.deep.equal([id]);
    expect(page({ drills: true })).to.have.members([id, drill.incident.id]);
    expect(page({ classes: ['tool_call_burst'] })).to.deep.equal([]);
    expect(page({ states: ['acknowledged'] })).to.deep.equal([]);
  });

  it('hold, where moments are given, those that have one in that time', async () => {
    const { clock } = recording;
    const created = clock.now();
    const id = await report();
    const isDue = (from: number, to: number): boolean => {
      const due = { every: 10 * MINUTE, from: created + from, to: created + to };
      return recording.projections.current().incidentsOf(all, undefined, 10, due).documents.length === 1;
    };
    expect(id).to.match(/^INC-/);
    for (const [from, to, expected] of [
      [-1 * MINUTE, 1 * MINUTE, false],
      [-60 * MINUTE, -30 * MINUTE, false],
      [0, 10 * MINUTE - 1, false],
      [0, 10 * MINUTE, true],
      [10 * MINUTE - 1, 10 * MINUTE, true],
      [10 * MINUTE, 19 * MINUTE, false],
      [10 * MINUTE, 20 * MINUTE, true],
      [-60 * MINUTE, 11 * MINUTE, true],
      [1 * MINUTE, 61 * MINUTE, true],
    ] as const) {
      expect(isDue(from, to), `${from} to ${to}`).to.equal(expected);
    }
  });
});
