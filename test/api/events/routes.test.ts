import { join } from 'node:path';
import { expect } from 'chai';
import type { RequestOptions } from 'node:http';
import { EventStreams } from '../../../src/api/events/event-streams.ts';
import type { ApiServer, Limits } from '../../../src/api/server/api-server.ts';
import { moveToArchive } from '../../../src/audit/archive.ts';
import type { AuditLog } from '../../../src/audit/log.ts';
import { systemClock } from '../../../src/clock.ts';
import { RecorderError } from '../../../src/errors.ts';
import type { IncidentKind } from '../../../src/projections/incidents.ts';
import { draft, HASH, openLog } from '../../support/audit-log.ts';
import { EventReader } from '../../support/event-reader.ts';
import { eventually } from '../../support/eventually.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { ask, serve, stopServing } from '../support/client.ts';
import { standIn, TOKEN } from '../support/dependencies.ts';
import type { Draft } from '../../../src/domain/entries.ts';

const PATH = '/api/v1/events';

const about = (incident: string, event: Draft['event'], state: string): Draft =>
  ({ timestamp: '2026-11-22T07:12:00.123Z', event, data: { incident, version: 1, state } }) as Draft;

const KINDS: Readonly<Record<string, IncidentKind>> = {
  one: { class: 'prompt_injection', severity: 'high' },
  other: { class: 'tool_call_burst', severity: 'low' },
};

/** How often 30 readers come at once. */
const ROUNDS = 8;

describe('GET /api/v1/events', () => {
  const directory = temporaryDirectories();
  const readers: EventReader[] = [];
  let log: AuditLog;
  let streams: EventStreams;
  let server: ApiServer;
  /** Of which entries it was asked where they are. */
  let positions: number[];
  let lines: ReturnType<typeof standIn>['lines'];
  let kindOf: (id: string) => IncidentKind | undefined;

  /** Begins a log with entries and serves its stream. */
  const begin = async (
    drafts: readonly Draft[],
    options: { segmentBytes?: number; beatEvery?: number; limits?: Partial<Limits> } = {},
  ): Promise<void> => {
    const { segmentBytes = Infinity, beatEvery, limits } = options;
    const path = join(directory(), 'audit.jsonl');
    ({ log } = await openLog(path, HASH, segmentBytes, ({ entries, written }) => streams.publish(entries, written)));
    const dependencies = standIn();
    ({ lines } = dependencies);
    kindOf = (id) => KINDS[id];
    positions = [];
    streams = new EventStreams({
      log: {
        get status() {
          return log.status;
        },
        get sealed() {
          return log.sealed;
        },
        fileOf: (seq) => {
          positions.push(seq);
          return log.fileOf(seq);
        },
        hash: HASH,
        suspect: (damage) => log.suspect(damage),
      },
      kindOf: (id) => kindOf(id),
      clock: systemClock,
      logger: dependencies.log,
      ...(beatEvery !== undefined && { beatEvery }),
    });
    for (const one of drafts) await log.append([one]);
    server = await serve({ ...dependencies, events: streams }, limits);
  };

  const open = async (query = '', headers: RequestOptions['headers'] = {}): Promise<EventReader> => {
    const { address } = server;
    if (address.kind !== 'tcp') throw new Error('not served over TCP');
    const reader = await EventReader.open({ host: address.host, port: address.port, path: PATH + query, headers });
    readers.push(reader);
    return reader;
  };

  const idsOf = ({ events }: EventReader): number[] => events.map(({ id }) => Number(id));
  const upTo = (last: number, from = 1): number[] =>
    Array.from({ length: last - from + 1 }, (_, index) => from + index);

  afterEach(async () => {
    for (const reader of readers.splice(0)) reader.leave();
    streams.close();
    await stopServing();
    await log.close();
  });

  it('gives each entry as its line in the log, with its seq and name', async () => {
    await begin([draft('one'), about('one', 'incident.reported', 'open')]);
    const reader = await open('?after=0');
    const events = await reader.received(2);
    expect([reader.status, reader.headers['content-type']]).to.deep.equal([200, 'text/event-stream']);
    expect(reader.headers['cache-control']).to.equal('no-store');
    expect(reader.headers).to.have.property('x-request-id');
    expect(events.map(({ id, event }) => [id, event])).to.deep.equal([
      ['1', 'service.stopped'],
      ['2', 'incident.reported'],
    ]);
    expect(JSON.parse(events[1]!.data)).to.deep.include({
      event: 'incident.reported',
      entry_hash: log.status.last_hash,
    });
  });

  it('begins with new entries, and sends its position first', async () => {
    await begin([draft('before')]);
    const reader = await open();
    await reader.until(() => reader.lastEventId === '1');
    await log.append([draft('after')]);
    expect((await reader.received(1)).map(({ id }) => id)).to.deep.equal(['2']);
  });

  it('leaves nothing out and sends nothing twice while entries are written, sealed and readers come and go', async () => {
    await begin([draft('begin')], { segmentBytes: 20_000 });
    let written = 1;
    const writing = (async () => {
      for (; written < 400; written++) await log.append([draft(`entry ${written}`.repeat(1 + (written % 40)))]);
    })();
    const seen = Array.from({ length: 6 }, (): number[] => []);
    await Promise.all(
      seen.map(async (ids, which) => {
        let last = '0';
        while (ids.length < 400) {
          const reader = await open('?after=0', ids.length === 0 ? {} : { 'Last-Event-ID': last });
          await reader.received(Math.min(400 - ids.length, 30 * (which + 1)));
          reader.leave();
          ids.push(...idsOf(reader));
          last = reader.lastEventId;
        }
      }),
    );
    await writing;
    for (const ids of seen) expect(ids).to.deep.equal(upTo(400));
  });

  it('gives each reader that comes while entries are written every one of them soon', async () => {
    await begin([draft('begin')], { beatEvery: 3_600_000 });
    for (let round = 0; round < ROUNDS; round++) {
      const writing = (async () => {
        for (let n = 0; n < 12; n++) {
          await log.append([draft(`entry ${round}.${n}`)]);
          for (let turns = (round + n) % 4; turns > 0; turns--) await new Promise(setImmediate);
        }
      })();
      const came = await Promise.all(
        Array.from({ length: 30 }, async (_, n) => {
          for (let turns = n % 7; turns > 0; turns--) await new Promise(setImmediate);
          return open(n % 2 === 0 ? '' : `?after=${log.status.entries}`);
        }),
      );
      await writing;
      const last = log.status.entries;
      // No heartbeat and no later entry helps a reader that has missed one.
      await Promise.all(came.map((reader) => reader.until(() => reader.lastEventId === String(last))));
      for (const reader of came) {
        const ids = idsOf(reader);
        expect(ids).to.deep.equal(upTo(last, ids[0] ?? last + 1));
        reader.leave();
      }
      readers.length = 0;
      await eventually(() => streams.readers === 0);
    }
  });

  it('shows by class, severity and state what the list would show, as of each entry', async () => {
    await begin([
      draft('about no incident'),
      about('one', 'incident.reported', 'open'),
      about('other', 'incident.reported', 'contained'),
      about('one', 'incident.resolved', 'resolved'),
      about('unknown', 'incident.reported', 'open'),
    ]);
    for (const [query, expected] of [
      ['', [1, 2, 3, 4, 5]],
      ['&state=open', [2, 5]],
      ['&class=prompt_injection', [2, 4]],
      ['&severity=low&severity=high', [2, 3, 4]],
      ['&severity=high&state=resolved', [4]],
    ] as const) {
      const reader = await open(`?after=0${query}`);
      await reader.received(expected.length);
      expect(idsOf(reader), query).to.deep.equal(expected);
    }
    const live = await open('?class=tool_call_burst&state=resolved');
    await live.until(() => live.lastEventId === '5');
    await log.append([about('one', 'incident.resolved', 'resolved')]);
    await log.append([about('other', 'incident.resolved', 'resolved')]);
    await live.received(1);
    expect(idsOf(live)).to.deep.equal([7]);
  });

  it('ends a stream when the incident of an entry can not be read, and does not skip the entry', async () => {
    await begin([about('one', 'incident.reported', 'open')]);
    const reader = await open('?class=prompt_injection');
    await reader.until(() => reader.lastEventId === '1');
    kindOf = () => {
      throw new RecorderError('log_unavailable', 'behind');
    };
    await log.append([about('one', 'incident.resolved', 'resolved')]);
    await reader.end();
    expect([reader.events, reader.lastEventId]).to.deep.equal([[], '1']);
  });

  it('says where the log goes on when what is asked for was archived', async () => {
    await begin(
      upTo(20).map((n) => draft(`${n}`.repeat(300))),
      { segmentBytes: 3000 },
    );
    const [oldest, next] = log.sealed;
    await moveToArchive(oldest!);
    log.forget([oldest!]);
    const { status, body } = await ask(server, `${PATH}?after=0`);
    expect([status, body.first_seq]).to.deep.equal([410, next!.first]);
    const reader = await open(`?after=${next!.first - 1}`);
    await reader.received(20 - next!.first + 1);
    expect(idsOf(reader)).to.deep.equal(upTo(20, next!.first));
  });

  it('refuses what it cannot take', async () => {
    await begin([draft('one')]);
    const refused = async (query: string, headers = {}) => {
      const { status, body } = await ask(server, PATH + query, { headers });
      return [status, body.error];
    };
    expect(await refused('?after=2')).to.deep.equal([400, 'the log ends with entry 1, there is nothing after 2 yet']);
    expect((await refused('?after=-1'))[0]).to.equal(400);
    expect((await refused('?after=0&after=0'))[0]).to.equal(400);
    expect((await refused('?class=nonsense'))[0]).to.equal(400);
    expect((await refused('?limit=5'))[1]).to.equal(
      'unknown parameter "limit" (allowed: class, state, severity, after)',
    );
    expect((await refused('', { 'Last-Event-ID': 'x' }))[0]).to.equal(400);
    expect((await ask(server, PATH, { method: 'HEAD' })).headers['content-type']).to.equal('text/event-stream');
  });

  it('has room for 64 readers, for more with the token, and for another when one has left', async () => {
    await begin([]);
    const first = await open();
    for (let n = 2; n <= 64; n++) await open();
    const { status, headers } = await ask(server, PATH);
    expect([status, headers['retry-after']]).to.deep.equal([503, '5']);
    // Who has the token has places that strangers can't take.
    expect((await open('', { Authorization: `Bearer ${TOKEN}` })).status).to.equal(200);
    first.leave();
    let reader = await open();
    while (reader.status === 503) reader = await open();
    await log.append([draft('for all')]);
    for (const each of readers.filter((one) => one !== first && one.status === 200)) await each.received(1);
  });

  it('is kept alive by comments, beyond the time after which an idle connection is cut', async () => {
    await begin([draft('one')], { beatEvery: 50, limits: { idleTimeout: 300 } });
    const reader = await open();
    await reader.until(() => reader.comments >= 20);
    expect(reader.lastEventId).to.equal('1');
    await log.append([draft('two')]);
    await reader.received(1);
  });

  it('cuts off a reader that does not read when 1 MiB waits for it, and no other; it can resume', async () => {
    await begin([]);
    const [idle, busy] = [await open(), await open()];
    await idle.until(() => idle.lastEventId === '0');
    idle.pause();
    const cut = (): boolean => lines.some(({ message }) => message === 'an event stream is cut off');
    while (!cut()) {
      await log.append([draft('x'.repeat(200_000))]);
      await busy.received(log.status.entries);
    }
    await idle.end();
    expect(idle.events.length).to.be.lessThan(log.status.entries);
    const again = await open('', { 'Last-Event-ID': idle.lastEventId });
    await again.received(log.status.entries - idle.events.length);
    expect([...idsOf(idle), ...idsOf(again)]).to.deep.equal(upTo(log.status.entries));
    expect(idsOf(busy)).to.deep.equal(upTo(log.status.entries));
  });

  it('reads no further in the log than a reader that catches up will take', async () => {
    await begin(upTo(150).map(() => draft('x'.repeat(200_000))));
    const [idle, busy] = [await open('?after=0'), await open('?after=0')];
    idle.pause();
    const asked = await busy.received(150).then(() => [...positions]);
    expect(Math.max(...asked)).to.equal(150);
    positions.length = 0;
    idle.resume();
    await idle.received(150);
    // The sockets of both sides held a few megabytes.
    expect(Math.min(...positions)).to.be.lessThan(100);
  });

  it('ends in good order when the service stops, also for one that does not read', async () => {
    await begin(upTo(40).map(() => draft('x'.repeat(200_000))));
    const [live, stuck] = [await open('?after=40'), await open('?after=0')];
    await live.until(() => live.lastEventId === '40');
    stuck.pause();
    streams.close();
    await Promise.all([live.end(), stuck.end()]);
    expect((await ask(server, PATH)).status).to.equal(503);
  });
});
