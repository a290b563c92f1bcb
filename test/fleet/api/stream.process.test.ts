import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Context } from 'koa';
import type { FleetPrincipal } from '../../../src/fleet/access.ts';
import type { FleetDependencies } from '../../../src/fleet/api/dependencies.ts';
import { stillReads } from '../../../src/fleet/api/reading.ts';
import type { DatabasePlace } from '../../../src/fleet/database.ts';
import { readStreamPlace, writeStreamPlace } from '../../../src/fleet/api/stream-place.ts';
import { EventReader } from '../../support/event-reader.ts';
import { LocalService } from '../../support/local-service.ts';
import { TOKEN } from '../../support/service-client.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { onEachPlace } from '../support/engines.ts';
import { FleetReads } from './support/fleet-reads.ts';

interface Shown {
  readonly machine: string;
  readonly data: { readonly seq: number };
}

const nameOf = ({ data }: { readonly data: string }): string => {
  const { machine, data: entry } = JSON.parse(data) as Shown;
  return `${machine} ${entry.seq}`;
};

function streams(place: () => DatabasePlace): void {
  const directory = temporaryDirectories();
  const opened: EventReader[] = [];
  let fleet: FleetReads;
  let lines: string[];

  before(async () => {
    const home = new ServiceHome(directory());
    const recorder = await LocalService.start(home);
    for (let count = 0; count < 30; count++) {
      await recorder.report({ class: count % 2 === 0 ? 'prompt_injection' : 'tool_call_burst' });
    }
    await recorder.stop();
    lines = readFileSync(home.log, 'utf8').trimEnd().split('\n');
  });

  beforeEach(async () => {
    fleet = await FleetReads.start(place());
    await fleet.enrol('m-1', { site: 'berlin' });
    await fleet.enrol('m-2', { site: 'paris' });
    await fleet.take('m-1', lines.slice(0, 10));
  });

  afterEach(async () => {
    for (const reader of opened.splice(0)) reader.leave();
    await fleet.stop();
  });

  const open = async (query = '', lastEventId = ''): Promise<EventReader> => {
    const reader = await EventReader.open({
      host: '127.0.0.1',
      port: fleet.port,
      path: `/api/v1/events${query}`,
      headers: { authorization: `Bearer ${TOKEN}`, ...(lastEventId !== '' && { 'last-event-id': lastEventId }) },
    });
    opened.push(reader);
    return reader;
  };

  it('gives what comes, of all machines', async () => {
    const reader = await open();
    await reader.until(() => reader.lastEventId !== '');
    await fleet.take('m-1', lines.slice(10, 12), 11);
    await reader.received(2);
    await fleet.take('m-2', lines.slice(0, 3));
    const events = await reader.received(5);
    expect(events.map(nameOf)).to.deep.equal(['m-1 11', 'm-1 12', 'm-2 1', 'm-2 2', 'm-2 3']);
    const [first] = events;
    const { machine, ...entry } = JSON.parse(first!.data) as Shown;
    expect(machine).to.equal('m-1');
    expect(entry).to.deep.equal(JSON.parse(lines[10]!));
  });

  it('gives what comes within a second', async () => {
    const reader = await open();
    await reader.until(() => reader.lastEventId !== '');
    const waits: number[] = [];
    for (let count = 0; count < 9; count++) {
      await fleet.take('m-1', lines.slice(10 + count, 11 + count), 11 + count);
      const begun = performance.now();
      await reader.received(count + 1);
      waits.push(performance.now() - begun);
    }
    // Other programs may have the processors for a while.
    expect(waits.toSorted((one, other) => one - other)[4]).to.be.below(1000);
  });

  it('goes on where a reader was, with nothing lost and nothing twice', async () => {
    const before = await open();
    await before.until(() => before.lastEventId !== '');
    await fleet.take('m-1', lines.slice(10, 14), 11);
    await before.received(4);
    const [, , third] = before.events;
    before.leave();
    await fleet.take('m-1', lines.slice(14, 16), 15);
    await fleet.take('m-2', lines.slice(0, 2));
    const after = await open('', third!.id);
    await fleet.take('m-2', lines.slice(2, 4), 3);
    const events = await after.received(7);
    expect(events.map(nameOf).toSorted()).to.deep.equal(
      ['m-1 14', 'm-1 15', 'm-1 16', 'm-2 1', 'm-2 2', 'm-2 3', 'm-2 4'].toSorted(),
    );
  });

  it('gives what a filter and the machines of a request pass', async () => {
    const reader = await open('?site=paris&class=tool_call_burst');
    await reader.until(() => reader.lastEventId !== '');
    await fleet.take('m-1', lines.slice(10, 20), 11);
    await fleet.take('m-2', lines.slice(0, 20));
    const all = await open('?machine=m-2');
    await all.until(() => all.lastEventId !== '');
    await fleet.take('m-2', lines.slice(20), 21);
    await all.received(lines.length - 20);
    await reader.received(3);
    for (const { data, event } of reader.events) {
      expect(JSON.parse(data).machine).to.equal('m-2');
      if (event === 'incident.reported') expect(JSON.parse(data).data.report.class).to.equal('tool_call_burst');
    }
  });

  it('says nothing of other machines to who does not see them, and has those that are enrolled meanwhile', async () => {
    const reader = await open('?site=paris');
    await reader.until(() => reader.lastEventId !== '');
    // m-1, which is in Berlin, has just sent something.
    expect([...readStreamPlace(reader.lastEventId).sent]).to.deep.equal([]);
    await fleet.enrol('m-3', { site: 'paris' });
    await fleet.take('m-1', lines.slice(10, 12), 11);
    await fleet.take('m-3', lines.slice(0, 2));
    const events = await reader.received(2);
    expect(events.map(nameOf)).to.deep.equal(['m-3 1', 'm-3 2']);
    for (const { id } of events) expect(readStreamPlace(id).sent.size).to.be.at.most(1);
    await reader.until(() => readStreamPlace(reader.lastEventId).sent.size > 0);
    expect(readStreamPlace(reader.lastEventId).sent.size).to.equal(1);
  });

  it('refuses what is no place', async () => {
    for (const id of ['x', '12.ab:1', '1.2.3']) expect((await open('', id)).status, id).to.equal(400);
    expect((await open('', '1000')).status).to.equal(410);
    expect((await open('?class=x')).status).to.equal(400);
  });
}

describe('The stream of all machines', () => {
  it('ends for who sees other machines than when it began', () => {
    const reads = (machines: FleetPrincipal['machines'], bounds: FleetPrincipal['machines']): boolean =>
      stillReads(
        {
          access: { principalOf: () => ({ name: 'bert', roles: ['reader'], machines }), proofKey: () => undefined },
          readAccess: 'token',
        } as unknown as FleetDependencies,
        { req: { headers: { authorization: 'Bearer x' } } } as Context,
        { reader: { words: false, evidence: true }, bounds },
      );
    expect(reads({ site: 'berlin' }, { site: 'berlin' })).to.equal(true);
    expect(reads({ site: 'paris' }, { site: 'berlin' })).to.equal(false);
    expect(reads({ site: 'berlin' }, 'any')).to.equal(false);
  });

  it('has places that say the same when they are read', () => {
    const place = { at: 1_764_000_000_000, sent: new Map([['abcdefghij-_', 12]]) };
    expect(readStreamPlace(writeStreamPlace(place))).to.deep.equal(place);
  });

  onEachPlace(streams);
});
