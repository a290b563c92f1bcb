import { expect } from 'chai';
import type { Incident } from '../../src/domain/incident.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT = { class: 'forbidden_airlock_request', source: 'airlock', description: 'x' } as const;

describe('the record as it is at one moment', () => {
  const directory = temporaryDirectories();
  let recording: Recording;

  beforeEach(async () => {
    recording = await Recording.open(directory());
  });
  afterEach(() => recording.close());

  const report = async (evidence: string): Promise<string> =>
    (await recording.recorder.report({ ...REPORT, evidence: { evidence } })).incident.id;

  /** Reads a snapshot to its end, and does something after each read. */
  const readAll = async (between: () => Promise<unknown> = async () => {}): Promise<readonly Incident[]> => {
    const { incidents } = recording.projections.snapshot();
    using snapshot = incidents;
    const all: Incident[] = [];
    await between();
    for (let some = snapshot.read(); some.length > 0; some = snapshot.read()) {
      all.push(...some.map((bytes) => JSON.parse(Buffer.from(bytes).toString()) as Incident));
      await between();
    }
    return all;
  };

  it('has nothing where nothing is on record', async () => {
    expect(await readAll()).to.deep.equal([]);
  });

  it('has the unresolved before the resolved, each newest first', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 10; n++) ids.push(await report('y'));
    for (const at of [1, 4, 9]) await recording.recorder.perform('resolve', { id: ids[at]! });
    await recording.recorder.perform('acknowledge', { id: ids[2]! });
    const order = [8, 7, 6, 5, 3, 2, 0, 9, 4, 1];
    expect((await readAll()).map(({ id }) => id)).to.deep.equal(order.map((at) => ids[at]));
  });

  it('stays what it was while every incident changes, in every order', async () => {
    const ids: string[] = [];
    // Larger than what is read at once, so that there are changes between.
    for (let n = 0; n < 40; n++) ids.push(await report('z'.repeat(30_000)));
    for (let n = 0; n < 40; n += 3) await recording.recorder.perform('resolve', { id: ids[n]! });
    const expected = await readAll();
    expect(expected.length).to.equal(40);
    const left = ids.flatMap((id, at) => (at % 3 === 0 ? [] : [id]));
    let step = 0;
    const seen = await readAll(async () => {
      step += 1;
      await report('new');
      // From both ends, before and behind what was read.
      for (const id of [left.shift(), left.pop()]) {
        if (id === undefined) continue;
        await recording.recorder.perform('acknowledge', { id });
        if (step % 2 === 0) await recording.recorder.perform('resolve', { id });
      }
    });
    expect(step).to.be.greaterThan(8);
    expect(seen).to.deep.equal(expected);
  });

  it('says so when it can not be read to its end', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 40; n++) ids.push(await report('z'.repeat(200_000)));
    const { incidents } = recording.projections.snapshot();
    using snapshot = incidents;
    snapshot.read();
    for (const id of ids) await recording.recorder.perform('resolve', { id });
    expect(() => snapshot.read()).to.throw('too much changes at the moment');
    expect((await readAll()).length).to.equal(40);
    const again = recording.projections.snapshot().incidents;
    recording.projections.reset();
    expect(() => again.read()).to.throw('the database is made again');
  });
});
