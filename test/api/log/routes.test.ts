import { createServer, get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { LogStreams } from '../../../src/api/log/log-streams.ts';
import type { ApiServer } from '../../../src/api/server/api-server.ts';
import type { Role } from '../../../machines/vocabulary.ts';
import { moveToArchive } from '../../../src/audit/archive.ts';
import { archivedPath } from '../../../src/audit/archived-path.ts';
import type { AuditLog } from '../../../src/audit/log.ts';
import { systemClock } from '../../../src/clock.ts';
import { draft, HASH, openLog } from '../../support/audit-log.ts';
import { eventually } from '../../support/eventually.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { ask, serve, stopServing } from '../support/client.ts';
import { standIn, TOKEN } from '../support/dependencies.ts';

const PATH = '/api/v1/log';
const ID = '5d'.repeat(32);
/** How often 25 readers come at once. */
const ROUNDS = 8;
const BY_TOKEN = { headers: { Authorization: `Bearer ${TOKEN}` } };

/** Somebody who reads the log over HTTP. */
class Follower {
  text = '';
  isOver = false;
  readonly response: IncomingMessage;

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    response.once('close', () => (this.isOver = true)).on('error', () => {});
  }

  static async open(server: ApiServer, query: string, token = TOKEN): Promise<Follower> {
    const { address } = server;
    if (address.kind !== 'tcp') throw new Error('not served over TCP');
    const { host, port } = address;
    const request = get({
      host,
      port,
      path: PATH + query,
      headers: { Authorization: `Bearer ${token}` },
      agent: false,
    });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return new Follower(response);
  }

  get seqs(): readonly number[] {
    const lines = this.text.split('\n').slice(0, -1);
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line).data.seq as number);
  }
}

const upTo = (last: number, from = 1): number[] => Array.from({ length: last - from + 1 }, (_, index) => from + index);

describe('GET /api/v1/log', () => {
  const directory = temporaryDirectories();
  const followers: Follower[] = [];
  let path: string;
  let log: AuditLog;
  let streams: LogStreams;
  let publish: () => void;
  let server: ApiServer;
  let roles: Role[];
  let lines: ReturnType<typeof standIn>['lines'];

  const begin = async (
    count: number,
    {
      note = '',
      segmentBytes = Infinity,
      ...more
    }: { note?: string; segmentBytes?: number; beatEvery?: number; patience?: number } = {},
  ): Promise<void> => {
    path = join(directory(), 'audit.jsonl');
    ({ log } = await openLog(path, HASH, segmentBytes, () => publish()));
    publish = () => streams.publish();
    roles = ['anchor'];
    const dependencies = standIn();
    ({ lines } = dependencies);
    streams = new LogStreams({ log, logId: () => ID, clock: systemClock, logger: dependencies.log, ...more });
    for (let n = 1; n <= count; n++) await log.append([draft(`entry ${n}${note}`)]);
    const access = {
      principalOf: (token: string | undefined) => (token === TOKEN ? { name: 'shipper', roles } : undefined),
      proofKey: () => undefined,
    };
    server = await serve({ ...dependencies, access, logStreams: streams });
  };

  const follow = async (query = '?follow=true'): Promise<Follower> => {
    const follower = await Follower.open(server, query);
    followers.push(follower);
    return follower;
  };

  afterEach(async () => {
    for (const { response } of followers.splice(0)) response.destroy();
    streams.close();
    await stopServing();
    await log.close();
  });

  it('gives the lines as they stand in the file, and says how far they go', async () => {
    await begin(5);
    const { status, text, headers } = await ask(server, PATH, BY_TOKEN);
    expect(status).to.equal(200);
    expect(text).to.equal(readFileSync(path, 'utf8'));
    expect(headers['content-type']).to.equal('application/x-ndjson');
    expect([headers['log-id'], headers['log-entries'], headers['log-first']]).to.deep.equal([ID, '5', '1']);
  });

  it('gives what is asked for, over several files', async () => {
    await begin(40, { segmentBytes: 2000 });
    expect(log.sealed.length).to.be.greaterThan(3);
    for (const [query, seqs] of [
      ['?from=1', upTo(40)],
      ['?from=17', upTo(40, 17)],
      ['?from=40', [40]],
      ['?from=41', []],
      ['?from=3&limit=20', upTo(22, 3)],
      ['?limit=1', [1]],
      ['?from=39&limit=999', [39, 40]],
      ['?from=5&limit=2&follow=true', [5, 6]],
    ] as const) {
      const { text } = await ask(server, PATH + query, BY_TOKEN);
      const given = text.split('\n').slice(0, -1);
      expect(
        given.map((line) => JSON.parse(line).data.seq),
        query,
      ).to.deep.equal(seqs);
    }
  });

  it('refuses what is no place in the log, with what is there', async () => {
    await begin(5);
    const beyond = await ask(server, `${PATH}?from=7`, BY_TOKEN);
    expect(beyond.status).to.equal(416);
    expect(beyond.body).to.include({ first_seq: 1, last_seq: 5, log_id: ID });
    for (const query of ['?from=0', '?from=x', '?from=1&from=2', '?limit=0', '?follow=1', '?after=3']) {
      expect((await ask(server, PATH + query, BY_TOKEN)).status, query).to.equal(400);
    }
  });

  it('says where the log begins when what is asked for is archived', async () => {
    await begin(40, { segmentBytes: 2000 });
    const [first, second] = log.sealed;
    await moveToArchive(first!);
    log.forget([first!]);
    const { status, body } = await ask(server, `${PATH}?from=1`, BY_TOKEN);
    expect(status).to.equal(410);
    expect(body.first_seq).to.equal(second!.first);
    expect((await ask(server, `${PATH}?from=${second!.first}`, BY_TOKEN)).status).to.equal(200);
  });

  it('goes on from the archive into the log where that is asked for', async () => {
    await begin(60, { segmentBytes: 2000 });
    const archived = log.sealed.slice(0, 2);
    for (const segment of archived) await moveToArchive(segment);
    log.forget(archived);
    const { first } = log.sealed[0]!;
    const { status, headers, text } = await ask(server, `${PATH}?from=2&archived=true`, BY_TOKEN);
    expect([status, headers['log-first'], headers['log-id']]).to.deep.equal([200, '1', ID]);
    const seqs = text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line).data.seq);
    expect(seqs).to.deep.equal(upTo(60, 2));
    const head = await ask(server, `${PATH}?from=2&archived=true`, { method: 'HEAD', ...BY_TOKEN });
    expect([head.status, head.headers['log-first']]).to.deep.equal([200, '1']);
    expect((await ask(server, `${PATH}?from=2&archived=false`, BY_TOKEN)).status).to.equal(410);
    expect((await ask(server, `${PATH}?from=2&archived=x`, BY_TOKEN)).status).to.equal(400);
    // A part of the archive was taken away.
    rmSync(archivedPath(archived[1]!.path));
    expect((await ask(server, `${PATH}?from=2&archived=true`, BY_TOKEN)).body.first_seq).to.equal(first);
  });

  it('takes no archive of another log for its own, and its faults not for the log’s', async () => {
    await begin(60, { segmentBytes: 2000 });
    const [segment] = log.sealed;
    await moveToArchive(segment!);
    log.forget([segment!]);
    const moved = archivedPath(segment!.path);
    const written = readFileSync(moved, 'utf8');
    const read = written.split('\n');
    writeFileSync(moved, read.toSpliced(1, 1).join('\n'));
    expect((await ask(server, `${PATH}?from=2&archived=true`, BY_TOKEN)).status).to.equal(500);
    const last = JSON.parse(read.at(-2)!);
    writeFileSync(
      moved,
      [...read.slice(0, -2), JSON.stringify({ ...last, entry_hash: 'a1'.repeat(32) }), ''].join('\n'),
    );
    expect((await ask(server, `${PATH}?from=1&archived=true`, BY_TOKEN)).status).to.equal(410);
    expect(log.status.state).to.equal('open');
    expect((await ask(server, `${PATH}?from=${log.sealed[0]!.first}&archived=true`, BY_TOKEN)).status).to.equal(200);
  });

  it('answers HEAD with the same headers', async () => {
    await begin(3);
    const { status, headers, text } = await ask(server, PATH, { method: 'HEAD', ...BY_TOKEN });
    expect([status, headers['log-entries'], text]).to.deep.equal([200, '3', '']);
    expect((await ask(server, `${PATH}?from=9`, { method: 'HEAD', ...BY_TOKEN })).status).to.equal(416);
  });

  it('needs a token also where reads are open', async () => {
    await begin(1);
    expect((await ask(server, PATH)).status).to.equal(403);
    roles = ['operator'];
    const { status, body } = await ask(server, PATH, BY_TOKEN);
    expect(status).to.equal(403);
    expect(body.needs).to.deep.equal(['anchor', 'auditor']);
  });

  it('follows the log: no line is left out, none comes twice', async () => {
    await begin(30, { segmentBytes: 2000 });
    const follower = await follow('?from=11&follow=true');
    for (let n = 31; n <= 120; n++) await log.append([draft(`entry ${n}`), draft('and one more')]);
    await eventually(() => follower.seqs.at(-1) === 210);
    expect(follower.seqs).to.deep.equal(upTo(210, 11));
    expect(follower.isOver).to.equal(false);
  });

  it('waits at the end of the log for what is not written yet, also for the first entry', async () => {
    await begin(0);
    const follower = await follow('?follow=true');
    expect(follower.response.statusCode).to.equal(200);
    await log.append([draft('the first')]);
    await eventually(() => follower.seqs.length === 1);
    const next = await follow('?from=2&follow=true&limit=1');
    await log.append([draft('the second')]);
    await eventually(() => next.isOver);
    expect(next.seqs).to.deep.equal([2]);
  });

  it('gives each reader that comes while entries are written every one of them soon', async () => {
    await begin(1);
    const hosts: LogStreams[] = [];
    // Few may read at a time: here each two have a host of their own.
    const host = createServer((_request, response) => {
      const own = new LogStreams({ log, logId: () => ID, clock: systemClock, logger: console, beatEvery: 3_600_000 });
      hosts.push(own);
      const wanted = { from: log.status.entries + (hosts.length % 2), follow: true };
      const rights = { isShipper: true, turn: () => Promise.resolve(), isEntitled: () => true };
      own.open(response, wanted, rights).catch((error: unknown) => response.destroy(error as Error));
    }).listen(0, '127.0.0.1');
    publish = () => hosts.forEach((one) => one.publish());
    await once(host, 'listening');
    const { port } = host.address() as AddressInfo;
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const writing = (async () => {
          for (let n = 0; n < 12; n++) {
            await log.append([draft(`entry ${round}.${n}`)]);
            for (let turns = (round + n) % 4; turns > 0; turns--) await new Promise(setImmediate);
          }
        })();
        const readers = await Promise.all(
          Array.from({ length: 25 }, async (_, n) => {
            for (let turns = n % 7; turns > 0; turns--) await new Promise(setImmediate);
            const [response] = (await once(get({ host: '127.0.0.1', port, agent: false }), 'response')) as [
              IncomingMessage,
            ];
            return new Follower(response);
          }),
        );
        await writing;
        const { entries } = log.status;
        // No heartbeat and no later entry helps a reader that has missed one.
        await eventually(() => readers.every(({ seqs }) => seqs.at(-1) === entries));
        for (const { seqs } of readers) expect(seqs).to.deep.equal(upTo(entries, seqs[0]));
        for (const { response } of readers) response.destroy();
        await eventually(() => readers.every(({ isOver }) => isOver));
        hosts.splice(0).forEach((one) => one.close());
      }
    } finally {
      host.closeAllConnections();
      host.close();
      await once(host, 'close');
    }
  });

  it('sends an empty line while nothing is written', async () => {
    await begin(1, { beatEvery: 20 });
    const follower = await follow();
    await eventually(() => follower.text.endsWith('\n\n\n'));
    await log.append([draft('more')]);
    await eventually(() => follower.seqs.length === 2);
    expect(follower.seqs).to.deep.equal([1, 2]);
  });

  it('has two readers at once, and a third when one has left', async () => {
    await begin(1);
    const [one] = [await follow(), await follow()];
    expect((await ask(server, PATH, BY_TOKEN)).status).to.equal(503);
    one.response.destroy();
    while ((await ask(server, PATH, BY_TOKEN)).status !== 200) await new Promise(setImmediate);
  });

  it('has places of their own for those who ship it', async () => {
    await begin(1);
    roles = ['auditor'];
    await follow();
    await follow();
    expect((await ask(server, PATH, BY_TOKEN)).status).to.equal(503);
    roles = ['anchor', 'auditor'];
    expect((await follow()).response.statusCode).to.equal(200);
  });

  it('ends when its reader may not read any more', async () => {
    await begin(1, { beatEvery: 20 });
    const follower = await follow();
    await eventually(() => follower.seqs.length === 1);
    roles = ['reader'];
    await eventually(() => follower.isOver);
  });

  it('cuts off a reader that does not read, and keeps little for it meanwhile', async () => {
    await begin(200, { note: 'x'.repeat(200_000), patience: 50 });
    const follower = await follow('');
    follower.response.pause();
    await eventually(() => lines.some(({ message }) => message.includes('cut off')));
    const cut = lines.find(({ message }) => message.includes('cut off'));
    // What the kernel holds, and what was read last.
    expect(Number(cut?.due)).to.be.lessThan(80);
    follower.response.resume();
    await eventually(() => follower.isOver);
    expect(follower.response.complete).to.equal(false);
  });

  it('does not give what is not as it was written, and breaks off before it', async () => {
    await begin(40, { note: 'x'.repeat(20_000) });
    const before = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, before.with(29, before[30]!).join('\n'));
    const follower = await follow('');
    await eventually(() => follower.isOver);
    expect(follower.response.complete).to.equal(false);
    expect(follower.seqs).to.deep.equal(upTo(follower.seqs.length));
    expect(follower.seqs.length).to.be.lessThan(30);
    expect(log.status.state, basename(path)).to.equal('damaged');
    const { status } = await ask(server, `${PATH}?from=30`, BY_TOKEN);
    expect(status).to.equal(500);
  });
});
