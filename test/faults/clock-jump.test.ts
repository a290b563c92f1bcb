import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { type RunningService, runningServices, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { libfaketime, needs } from './support/needs.ts';
import { until } from './support/until.ts';

const YEAR = 365 * 24 * 60 * 60 * 1000;

describe('given a clock that jumps while the service runs', () => {
  const start = runningServices();
  const directory = temporaryDirectories();
  needs('libfaketime');

  /** Starts a service whose wall clock is off by what `set` says, in libfaketime's words; time as such goes on. */
  const startWithClock = async (home: ServiceHome) => {
    const clock = join(home.directory, 'clock');
    const set = (offset: string): void => writeFileSync(clock, `${offset}\n`);
    set('+0');
    const env = {
      LD_PRELOAD: libfaketime(),
      FAKETIME_TIMESTAMP_FILE: clock,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
    return { service: await start(home, { env }), set };
  };

  for (const [what, offset, isSo] of [
    ['a day back', '-1d', (time: number) => time < Date.now() - YEAR / 400],
    ['ten years forward', '+10y', (time: number) => time > Date.now() + 9 * YEAR],
  ] as const) {
    it(`${what}, then order, idempotency and what it acknowledged are unaffected`, async () => {
      const home = new ServiceHome(directory());
      const { service, set } = await startWithClock(home);
      const ledger = new Ledger();
      await ledger.load(service, () => ledger.accounts.length < 50);
      const keyed = { 'idempotency-key': 'before' };
      const before = await service.report({ source: 'order' }, keyed);

      set(offset);
      const after = await service.report({ source: 'order' });
      expect(Date.parse(after.json.created_at)).to.satisfy(isSo);
      await ledger.load(service, () => ledger.accounts.length < 100);
      const listed = (await service.get('/api/v1/incidents?source=order')).json;
      expect(listed, 'newest first, by the log').to.deep.equal([after.json, before.json]);
      const again = await service.report({ source: 'order' }, keyed);
      expect(again.headers['idempotent-replayed']).to.equal('true');
      expect(again.json).to.deep.equal(before.json);

      set('+0');
      await ledger.load(service, () => ledger.accounts.length < 150);
      for (const { json } of [before, after]) await service.post('/api/v1/incidents/resolve', { id: json.id });
      expect(await service.end()).to.equal(0);
      await home.expectSound();
    });

    it(`${what}, then no time-out strikes that is not due, and the service stops as ever`, async () => {
      const home = new ServiceHome(directory());
      const { service, set } = await startWithClock(home);
      expect((await service.get('/health')).status).to.equal(200);
      const slow = slowReport(service);
      await slow.sent;
      set(offset);
      // On the connection that was kept, several sweeps over the connections long.
      const since = performance.now();
      await until(async () => {
        expect((await service.get('/health')).status).to.equal(200);
        return performance.now() - since > 2500;
      });
      expect(await slow.finish()).to.match(/^HTTP\/1\.1 201 /);
      expect(await service.end()).to.equal(0);
    });
  }
});

/** A report whose last byte waits. */
function slowReport({ port }: RunningService) {
  const body = JSON.stringify({ class: 'prompt_injection', source: 'slow', description: 'a slow report' });
  const head = [
    'POST /api/v1/incidents/report HTTP/1.1',
    'Host: 127.0.0.1',
    `Authorization: Bearer ${TOKEN}`,
    `Content-Length: ${body.length}`,
    'Connection: close',
  ].join('\r\n');
  const socket = connect(port, '127.0.0.1');
  const sent = new Promise<void>((fulfil) => socket.write(`${head}\r\n\r\n${body.slice(0, -1)}`, () => fulfil()));
  return {
    sent,
    finish: (): Promise<string> => {
      socket.write(body.slice(-1));
      return text(socket);
    },
  };
}
