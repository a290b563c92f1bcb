/** Reads of what is long or many: they begin in the middle without reading what is before, and give the same. */
import { expect } from 'chai';
import type { DatabasePlace } from '../../../src/fleet/database.ts';
import { ActStore } from '../../../src/fleet/acts.ts';
import { MachineLog } from '../support/machine-log.ts';
import { onEachPlace } from '../support/engines.ts';
import { FleetReads } from './support/fleet-reads.ts';

const RECURRENCES = 260;
const REPORT = {
  class: 'prompt_injection',
  source: 'tool-firewall',
  description: 'Ignores its rules',
  evidence: {},
} as const;

/** Lets an incident recur. @param version its last one @returns its version then */
function recur(log: MachineLog, incident: string, version: number, times: number): number {
  for (let count = 1; count <= times; count++)
    log.append({
      event: 'incident.recurred',
      data: { incident, version: version + count, state: 'contained', report: REPORT },
    });
  return version + times;
}

const versionOf = (entry: { readonly data: { readonly version: number } }): number => entry.data.version;

function longLogs(place: () => DatabasePlace): void {
  let fleet: FleetReads;

  beforeEach(async () => {
    fleet = await FleetReads.start(place());
    await fleet.enrol('oven-1', { site: 'berlin' });
  });
  afterEach(() => fleet.stop());

  const read = async (path: string) => (await fleet.send('GET', `/api/v1${path}`)).json;

  /** All pages of a list. */
  async function pagesOf<Row>(path: string): Promise<readonly (readonly Row[])[]> {
    const pages: (readonly Row[])[] = [];
    for (let next: string | undefined = `/api/v1${path}`; next !== undefined;) {
      const { json, headers } = await fleet.send('GET', next);
      pages.push(json as readonly Row[]);
      next = /<([^>]+)>; rel="next"/.exec(String(headers.link ?? ''))?.[1];
    }
    return pages;
  }

  it('have the history of an incident from any version on, over the histories of its log', async () => {
    const log = new MachineLog('a');
    const id = log.report();
    log.report();
    recur(log, id, 1, RECURRENCES);
    const image = log.copyThrough(240);
    const end = recur(image, id, 238, RECURRENCES);
    await fleet.take('oven-1', log.lines);
    await fleet.take('oven-1', image.lines.slice(240), 241);
    const all = (await read(`/incidents/history?id=${id}`)) as { data: { version: number } }[];
    expect(all.map(versionOf)).to.deep.equal(Array.from({ length: end }, (_, at) => at + 1));
    for (const after of [1, 199, 200, 220, 238, 239, 240, 400, end - 1]) {
      const rest = (await read(`/incidents/history?id=${id}&after=${after}`)) as { data: { version: number } }[];
      expect(rest, String(after)).to.deep.equal(all.slice(after));
    }
    for (const after of [end, end + 1000])
      expect(await read(`/incidents/history?id=${id}&after=${after}`)).to.deep.equal([]);
  });

  it('say what an incident was before the first of its changes', async () => {
    const log = new MachineLog('a');
    const [long, short] = [log.report(), log.report()];
    recur(log, long, 1, RECURRENCES);
    const before = log.through;
    log.command(short, 'acknowledge');
    recur(log, long, RECURRENCES + 1, 1);
    await fleet.take('oven-1', log.lines);
    const { changes } = (await read(`/incidents/changes?machine=oven-1&after=${before}`)) as {
      changes: { id: string; was: string; state: string }[];
    };
    expect(changes.map(({ id, was, state }) => [id, was, state])).to.deep.equal([
      [short, 'contained', 'acknowledged'],
      [long, 'contained', 'contained'],
    ]);
  });

  it('have what was written since a time, also where the clock was set back', async () => {
    const log = new MachineLog('a');
    log.fill(100);
    // An hour back, and 100 entries later as much forward.
    const [back, begun] = [3_600_000, Date.parse('2026-11-01T00:00:00Z')];
    const at = () => new Date(begun + 1000 * log.through - back).toISOString();
    const jump = (jumped: number, after = log.through) => ({
      event: 'clock.jumped',
      data: { after_seq: after, after: at(), jumped_ms: jumped },
    });
    // The machine notes it a little later.
    for (let count = 0; count < 30; count++)
      log.append({ event: 'service.started', timestamp: at(), data: {} } as never);
    log.append({ ...jump(-back, 100), timestamp: at() } as never);
    const first = log.through;
    for (let count = 0; count < 100; count++)
      log.append({ event: 'service.started', timestamp: at(), data: {} } as never);
    log.append(jump(back) as never);
    log.fill(400);
    await fleet.take('oven-1', log.lines);
    const times = log.lines.map((line) => Date.parse((JSON.parse(line) as { timestamp: string }).timestamp));
    for (const since of [
      begun,
      times[50]!,
      times[99]!,
      times[99]! + 1,
      times[first + 10]!,
      times[300]! - 500,
      times.at(-1)!,
    ]) {
      const expected = times.findIndex((time) => time >= since) + 1;
      const { after } = (await read(`/incidents/changes?machine=oven-1&since=${new Date(since).toISOString()}`)) as {
        after: number;
      };
      expect(after, new Date(since).toISOString()).to.equal(expected - 1);
    }
    const { after, changes } = (await read('/incidents/changes?machine=oven-1&since=2027-01-01T00:00:00Z')) as {
      after: number;
      changes: unknown[];
    };
    expect([after, changes]).to.deep.equal([log.through, []]);
  });

  it('give acts on many machines in pages that end early, each once', async () => {
    const acts = new ActStore<{ act: string; by: string }>(fleet.db, 'contain_by_label');
    const stored = [3, 6000, 6000, 3, 12_000, 4, 9999, 1];
    const names = stored.map((_, at) => `ACT-${String(at).padStart(24, '0')}`);
    for (const [at, size] of stored.entries()) {
      const detail = { action: 'freeze_agent', labels: { site: 'berlin' }, reason: 'a test', machines: [] };
      await acts.store({ ...detail, act: names[at]!, by: 'ada' }, size);
    }
    const pages = await pagesOf<{ act: string }>('/acts?limit=5');
    expect(pages.flat().map(({ act }) => act)).to.deep.equal(names.toReversed());
    // 1, 9999; 4, 12,000; 3, 6000, 6000; 3.
    expect(pages.map((page) => page.length)).to.deep.equal([2, 2, 3, 1]);
  });

  it('give the commands with each status in the order of all', async () => {
    await fleet.take('oven-1', new MachineLog('a').fill(3).lines);
    await fleet.enrol('oven-2', { site: 'paris' });
    const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
    const states = ['pending', 'fetched', 'done', 'refused', 'expired'];
    await fleet.db
      .insertInto('commands')
      .values(
        Array.from({ length: 60 }, (_, at) => ({
          machine: `oven-${1 + (at % 2)}`,
          id: `CMD-${String(at).padStart(24, '0')}`,
          command: 'note',
          incident: `INC-${at % 7}`,
          body: '{}',
          signed: '',
          by: 'ada',
          role: 'operator',
          issued_at: ago(at % 13),
          // Half of them are over.
          expires_at: ago(at % 4 < 2 ? -60 : 0),
          state: states[at % 5]!,
          status: null,
          result: null,
        })) as never,
      )
      .execute();
    const [all] = (await pagesOf<{ id: string; status: string; machine: string; incident: string }>(
      '/commands?limit=1000',
    )) as [{ id: string; status: string; machine: string; incident: string }[]];
    expect(all).to.have.length(60);
    for (const status of ['pending', 'done', 'refused', 'expired']) {
      const own = all.filter((one) => one.status === status);
      expect(own).to.not.deep.equal([]);
      expect((await pagesOf(`/commands?limit=4&status=${status}`)).flat()).to.deep.equal(own);
    }
    const both = all.filter(({ status }) => status === 'pending' || status === 'expired');
    expect((await pagesOf('/commands?limit=7&status=pending&status=expired')).flat()).to.deep.equal(both);
    const some = all.filter(
      ({ machine, incident, status }) => machine === 'oven-2' && incident === 'INC-3' && status === 'done',
    );
    expect((await pagesOf('/commands?limit=1&site=paris&incident=INC-3&status=done')).flat()).to.deep.equal(some);
  });
}

describe('Reads of what is long', () => {
  onEachPlace(longLogs);
});

describe('Groups of many incidents', () => {
  onEachPlace((place) => {
    it('are those of few, whatever is asked for', async () => {
      const at = place();
      const many = await FleetReads.start(at, undefined, { few: 0 });
      await many.enrol('oven-1');
      await many.enrol('oven-2');
      const log = new MachineLog('a').fill(60);
      await many.take('oven-1', log.lines);
      await many.take('oven-2', new MachineLog('b').fill(45).lines);
      const queries = [
        '',
        'by=machine',
        'q=ignores',
        'q=nobody',
        'attention=true',
        'attention=true&class=prompt_injection&machine=oven-1',
        'source=tool-firewall',
        'source=tool-firewall&state=open',
        'resolution=true_positive',
        'assignee=ada',
        'containment=delivering',
        'since=2026-11-01T00:01:00Z',
      ];
      const few = 'url' in at ? await FleetReads.start(at) : undefined;
      try {
        for (const query of queries) {
          const counted = await many.send('GET', `/api/v1/incidents/groups?${query}`);
          expect(counted.headers['x-complete'], query).to.equal('true');
          const total = Number(counted.headers['x-total-count']);
          const listed = (await many.send('GET', `/api/v1/incidents?${query.replace(/by=[a-z]+&?/, '')}&limit=1000`))
            .json;
          expect(total, query).to.equal(listed.length);
          if (few === undefined) continue;
          const each = await few.send('GET', `/api/v1/incidents/groups?${query}`);
          const countsOf = (groups: Record<string, unknown>[]) =>
            groups.map(({ count, first, last, class: ofClass, source, states }) => [
              count,
              ofClass,
              source,
              states,
              first,
              last,
            ]);
          expect(countsOf(counted.json), query).to.deep.equal(countsOf(each.json));
        }
      } finally {
        await many.stop();
        await few?.stop();
      }
    });
  });
});
