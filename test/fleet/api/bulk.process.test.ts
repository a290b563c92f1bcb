/** A command on many incidents whose request is sent again, as after a crash. */
import { expect } from 'chai';
import { MachineLog } from '../support/machine-log.ts';
import { FleetReads } from './support/fleet-reads.ts';

describe('a command on many incidents', () => {
  let fleet: FleetReads;

  beforeEach(async () => {
    fleet = await FleetReads.start({ folder: undefined });
  });
  afterEach(() => fleet.stop());

  const taken = async (name: string): Promise<{ machine: string; id: string }> => {
    await fleet.enrol(name);
    const log = new MachineLog(name);
    const id = log.report();
    await fleet.take(name, log.lines);
    return { machine: name, id };
  };
  const bulk = async (body: object) => {
    const { json, text } = await fleet.send('POST', '/api/v1/incidents/bulk', {
      headers: { 'Idempotency-Key': 'once' },
      body: { command: 'resolve', ...body },
    });
    expect(json.results, text).to.have.length(2);
    return json.results as readonly { command: string | null; status: number; change?: string }[];
  };
  const named = (results: Awaited<ReturnType<typeof bulk>>) => results.map(({ command }) => command);

  it('says what became of the commands that were given, whatever has come since', async () => {
    const incidents = [await taken('oven-1'), await taken('oven-2')];
    const first = await bulk({ incidents });
    expect(first.map(({ status }) => status)).to.deep.equal([202, 202]);
    const { document } = await fleet.db
      .selectFrom('documents')
      .select('document')
      .where('machine', '=', 'oven-1')
      .executeTakeFirstOrThrow();
    const changed = JSON.parse(document);
    if ('recovery' in changed) delete changed.recovery;
    else changed.recovery = { required: ['attestation'], missing: [] };
    await fleet.db
      .updateTable('documents')
      .set({ document: JSON.stringify(changed) })
      .where('machine', '=', 'oven-1')
      .execute();
    await fleet.db.updateTable('machines').set({ revoked_at: new Date() }).where('machine', '=', 'oven-2').execute();
    expect(named(await bulk({ incidents }))).to.deep.equal(named(first));
  });

  it('is about incidents whose machines are named by what they are shown with, each once', async () => {
    const one = await taken('oven-1');
    await fleet.db.updateTable('machines').set({ name: 'bread' }).where('machine', '=', 'oven-1').execute();
    const incidents = [{ ...one, machine: 'bread' }, one];
    const body = { command: 'resolve', incidents, preview: true };
    const { json } = await fleet.send('POST', '/api/v1/incidents/bulk', { body });
    expect(json).to.deep.include({ matched: 1, machines: { 'oven-1': 1 } });
  });

  it('does not say that a command has changed nothing when it can not know', async () => {
    const incidents = [await taken('oven-1'), await taken('oven-2')];
    await bulk({ incidents });
    // The machine has resolved it, and the fleet has its entry.
    const result = JSON.stringify({ version: 2, state: 'resolved' });
    await fleet.db.updateTable('commands').set({ state: 'done', status: 200, result }).execute();
    await fleet.db.updateTable('incidents').set({ version: 2 }).execute();
    for (const one of await bulk({ incidents })) {
      expect(one).to.include({ status: 200, state: 'resolved' });
      expect(one).not.to.have.property('change');
    }
  });

  it('is counted in the list of acts without its incidents, by who sees some machines as well', async () => {
    const incidents = [await taken('oven-1'), await taken('oven-2'), await taken('oven-3')];
    const body = { command: 'resolve', incidents, limit: 2 };
    const { json: begun } = await fleet.send('POST', '/api/v1/incidents/bulk', { body });
    expect(begun.results).to.have.length(2);
    await fleet.db
      .updateTable('commands')
      .set({ state: 'done', status: 200 })
      .where('machine', '=', 'oven-1')
      .execute();
    const listed = async (query = '') => (await fleet.send('GET', `/api/v1/incidents/bulk${query}`)).json;
    const counts = { left: 1, pending: 1, done: 1, refused: 0, expired: 0 };
    expect(await listed()).to.have.length(1);
    expect((await listed())[0]).to.deep.include({ act: begun.act, count: 3, ...counts });
    expect((await listed('?machine=oven-1'))[0]).to.deep.include({ count: 1, ...counts, left: 0, pending: 0 });
    expect((await listed('?machine=oven-3&machine=oven-2'))[0]).to.deep.include({ count: 2, ...counts, done: 0 });
    expect(await listed('?machine=oven-4')).to.deep.equal([]);
    const whole = (await fleet.send('GET', `/api/v1/incidents/bulk/${begun.act}`)).json;
    expect(whole).to.deep.include({ count: 3, ...counts });
    expect(whole.incidents.map(({ status }: { status: string }) => status)).to.deep.equal(['done', 'pending', 'left']);
    // The list does not read what may be very long.
    const { detail } = await fleet.db.selectFrom('acts').select('detail').executeTakeFirstOrThrow();
    expect(detail).to.have.property('machines').that.deep.equals({ 'oven-1': 1, 'oven-2': 1, 'oven-3': 1 });
    expect(detail).not.to.have.property('incidents');
  });

  it('says that it is not finished while its client does not ask on, and where it goes on', async () => {
    const incidents = [await taken('oven-1'), await taken('oven-2'), await taken('oven-3')];
    // Nobody gives a revoked machine a command: it is asked for, and stays without one.
    await fleet.db.updateTable('machines').set({ revoked_at: new Date() }).where('machine', '=', 'oven-3').execute();
    const body = { command: 'resolve', incidents, limit: 1 };
    const work = async (cursor?: string) =>
      (await fleet.send('POST', '/api/v1/incidents/bulk', { body: { ...body, ...(cursor && { cursor }) } })).json;
    const first = await work();
    const whole = async () => (await fleet.send('GET', `/api/v1/incidents/bulk/${first.act}`)).json;
    const list = async () => (await fleet.send('GET', '/api/v1/incidents/bulk')).json[0];
    expect(await list()).to.include({ act: first.act, finished: false, count: 3, left: 2 });
    expect(await whole()).to.include({ finished: false, cursor: first.cursor });
    const second = await work((await whole()).cursor);
    expect(second.results[0]).to.include({ machine: 'oven-2' });
    // What is asked for again does not put it back.
    await work(first.cursor);
    expect((await whole()).cursor).to.equal(second.cursor);
    expect(await work(second.cursor)).to.include({ done: true });
    expect(await list()).to.include({ finished: true, left: 1 });
    expect(await whole()).not.to.have.property('cursor');
  });

  it('is previewed with the machines that nobody has heard, or that are behind', async () => {
    const incidents = [await taken('oven-1'), await taken('oven-2'), await taken('oven-3')];
    const previews = async () => {
      const body = { command: 'resolve', incidents, preview: true };
      const bulkPreview = await fleet.send('POST', '/api/v1/incidents/bulk', { body });
      const query = incidents.map(({ id }) => `id=${id}`).join('&');
      const release = await fleet.send('GET', `/api/v1/containment/preview?${query}&command=resolve`);
      return [bulkPreview, release].map(({ json, text }) => {
        expect(json.actions, text).to.be.an('array');
        return json.uncertain;
      });
    };
    expect(await previews()).to.deep.equal([undefined, undefined]);
    const heard = new Date(Date.now() - 3_600_000);
    await fleet.db.updateTable('machines').set({ heard_at: heard }).where('machine', '=', 'oven-1').execute();
    await fleet.db.updateTable('logs').set({ entries: 7 }).where('machine', '=', 'oven-3').execute();
    for (const uncertain of await previews()) {
      expect(uncertain).to.have.length(2);
      expect(uncertain[0]).to.deep.equal({
        machine: 'oven-1',
        silent: true,
        heard_at: heard.toISOString(),
        behind: 0,
      });
      expect(uncertain[1]).to.deep.include({ machine: 'oven-3', silent: false, behind: 5 });
    }
  });
});
