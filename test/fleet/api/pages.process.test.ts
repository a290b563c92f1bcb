/** Pages of incidents with long documents: they end at a size, and what counts incidents counts all of them. */
import { expect } from 'chai';
import { PAGE_BYTES } from '../../../src/fleet/api/incident-list.ts';
import { MachineLog } from '../support/machine-log.ts';
import { FleetReads } from './support/fleet-reads.ts';

const INCIDENTS = 60;

describe('pages of incidents with long documents', () => {
  let fleet: FleetReads;
  let ids: readonly string[];

  before(async () => {
    fleet = await FleetReads.start({ folder: undefined });
    await fleet.enrol('oven-1');
    const log = new MachineLog('oven-1');
    const long = 'ü'.repeat(12_000);
    ids = Array.from({ length: INCIDENTS }, (_, at) => log.report({ long, at: String(at) }));
    for (let from = 1; from <= log.through; from += 20)
      await fleet.take('oven-1', log.lines.slice(from - 1, from + 19), from);
  });
  after(() => fleet.stop());

  it('are as long as a page may be, and have all of them together', async () => {
    const seen: string[] = [];
    let pages = 0;
    for (let path: string | undefined = '/api/v1/incidents'; path !== undefined; pages++) {
      const { json, text, headers } = await fleet.send('GET', path);
      expect(Buffer.byteLength(text)).to.be.below(PAGE_BYTES + 64 * json.length);
      expect(json[0]).to.include({ machine: 'oven-1' });
      seen.push(...json.map(({ id }: { id: string }) => id));
      path = /<([^>]+)>; rel="next"/.exec(String(headers.link ?? ''))?.[1];
    }
    expect(pages).to.be.above(2);
    expect(seen.toSorted()).to.deep.equal(ids.toSorted());
  });

  it('are no limit to groups, and to items that stand for many', async () => {
    const { json: groups } = await fleet.send('GET', '/api/v1/incidents/groups?machine=oven-1');
    expect(groups.reduce((sum: number, { count }: { count: number }) => sum + count, 0)).to.equal(INCIDENTS);
    const { json: items, headers } = await fleet.send('GET', '/api/v1/incidents?collapse=source');
    expect(items).to.have.length(1);
    expect(items[0].alike).to.include({ count: INCIDENTS - 1 });
    expect(headers.link).to.equal(undefined);
  });
});

describe('a page with an incident that is longer than a page', () => {
  it('is followed by the others', async () => {
    const fleet = await FleetReads.start({ folder: undefined }, undefined, { few: 0 });
    try {
      await fleet.enrol('oven-1');
      const log = new MachineLog('oven-1');
      const long = log.report({ long: 'x'.repeat(PAGE_BYTES + 1) });
      const [acknowledged, other] = [log.report(), log.report()];
      // The long one is alone in the first group of the order.
      for (const id of [acknowledged, other]) log.command(id, 'acknowledge');
      await fleet.take('oven-1', log.lines);
      const seen: string[] = [];
      for (let path: string | undefined = '/api/v1/incidents?sort=state'; path !== undefined;) {
        const { json, headers } = await fleet.send('GET', path);
        seen.push(...json.map(({ id }: { id: string }) => id));
        path = /<([^>]+)>; rel="next"/.exec(String(headers.link ?? ''))?.[1];
      }
      expect(seen).to.deep.equal([long, other, acknowledged]);
    } finally {
      await fleet.stop();
    }
  });
});

describe('pages of incidents of which silences leave out most', () => {
  it('have all of the others, and those that are silenced, once', async () => {
    const fleet = await FleetReads.start({ folder: undefined });
    try {
      await fleet.enrol('oven-1');
      const log = new MachineLog('oven-1');
      const plain = Array.from({ length: 30 }, () => log.report());
      // More than are read at first, and newer: they come first.
      const silenced = Array.from({ length: 900 }, () => log.report(undefined, 'Only noise'));
      log.append({
        event: 'silence.added',
        data: {
          silence: 'SIL-1',
          class: [],
          source: [],
          severity: [],
          q: 'noise',
          from: '2026-11-01T00:00:00.000Z',
          until: '2100-01-01T00:00:00.000Z',
          reason: 'known',
        },
      });
      await fleet.take('oven-1', log.lines);
      for (const [query, ids] of [
        ['silenced=false', plain],
        ['silenced=true', silenced],
        ['silenced=false&limit=7', plain],
      ] as const) {
        const seen: string[] = [];
        for (let path: string | undefined = `/api/v1/incidents?${query}`; path !== undefined;) {
          const { json, headers } = await fleet.send('GET', path);
          seen.push(...json.map(({ id }: { id: string }) => id));
          path = /<([^>]+)>; rel="next"/.exec(String(headers.link ?? ''))?.[1];
        }
        expect(seen, query).to.deep.equal(ids.toReversed());
      }
    } finally {
      await fleet.stop();
    }
  });
});

describe('groups of incidents that are counted in the database', () => {
  it('are those of incidents that are looked at', async () => {
    const fleets = [
      await FleetReads.start({ folder: undefined }),
      await FleetReads.start({ folder: undefined }, undefined, { few: 0 }),
    ];
    try {
      for (const fleet of fleets)
        for (const [at, name] of ['oven-1', 'oven-2', 'oven-3'].entries()) {
          await fleet.enrol(name, { site: name === 'oven-3' ? 'oslo' : 'berlin' });
          await fleet.take(name, new MachineLog(name).fill(40 + 9 * at).lines);
        }
      for (const query of [
        '',
        'by=machine',
        'by=source&state=acknowledged',
        'by=severity,state',
        'site=berlin',
        'by=machine&limit=2',
      ]) {
        const [looked, counted] = await Promise.all(
          fleets.map(async (fleet) => {
            const { json, headers, text, status } = await fleet.send('GET', `/api/v1/incidents/groups?${query}`);
            expect(status, text).to.equal(200);
            const total = headers['x-total-count'];
            return {
              total,
              groups: json.map(({ assignees: _, containment: __, ...group }: Record<string, unknown>) => group),
            };
          }),
        );
        expect(looked!.groups.length).to.be.above(0);
        expect(counted, query).to.deep.equal(looked);
      }
    } finally {
      for (const fleet of fleets) await fleet.stop();
    }
  });
});
