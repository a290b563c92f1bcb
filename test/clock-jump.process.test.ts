import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pino from 'pino';
import { HOUR, systemClock } from '../src/clock.ts';
import { readConfig } from '../src/config.ts';
import { type Service, startService } from '../src/compose/service.ts';
import { run } from './cli/support/command-line.ts';
import { until } from './faults/support/until.ts';
import { ServiceClient } from './support/service-client.ts';
import { ServiceHome } from './support/service-home.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

/** A service whose wall clock can be set. */
class SettableService extends ServiceClient {
  readonly #service: Service;

  private constructor(service: Service) {
    super();
    this.#service = service;
  }

  static async start(home: ServiceHome, offset: () => number): Promise<SettableService> {
    const clock = { ...systemClock, now: () => Date.now() + offset() };
    return new SettableService(await startService(readConfig(home.env), clock, pino({ level: 'silent' })));
  }

  async stop(): Promise<void> {
    this.disconnect();
    await this.#service.stop('SIGTERM');
  }

  protected override get address() {
    const { address } = this.#service;
    return address.kind === 'tcp' ? { port: address.port } : {};
  }
}

describe('a clock that jumps', () => {
  const directory = temporaryDirectories();

  it('is recorded while it runs and at a start, and times around it are marked', async () => {
    const home = new ServiceHome(directory());
    let offset = 3 * HOUR;
    let service = await SettableService.start(home, () => offset);
    try {
      const early = (await service.report({ class: 'forbidden_airlock_request' })).json;
      expect(early.clock_uncertain).to.equal(undefined);
      expect((await service.get('/health')).json.clock).to.equal(undefined);
      // Looked at once by now.
      await new Promise((resolve) => setTimeout(resolve, 1100));
      offset = 0;
      const between = (await service.post('/api/v1/incidents/acknowledge', { id: early.id })).json;
      await until(async () => (await service.get('/health')).json.clock !== undefined);
      const { clock, warnings } = (await service.get('/health')).json;
      const [jump] = clock.jumps;
      expect(clock.jumps).to.have.length(1);
      expect(jump.by_ms).to.be.within(-3 * HOUR - 500, -3 * HOUR + 500);
      expect(jump.found).to.equal('running');
      expect(Date.parse(jump.since)).to.be.greaterThan(Date.now() + 2 * HOUR);
      expect(warnings.join('\n')).to.include('the clock went back by 10800');
      const late = (await service.report({ class: 'forbidden_airlock_request' })).json;
      expect(late.clock_uncertain).to.equal(true);
      await service.post('/api/v1/incidents/resolve', { id: early.id });
      const shown = await run([
        'show',
        early.id,
        '--url',
        `http://127.0.0.1:${service.port}`,
        '--token-file',
        home.token,
      ]);
      expect(shown.stdout).to.match(/ \(\?\) +incident\.acknowledged/);
      expect(shown.stdout).to.match(/clock\.jumped.*the clock went back by 10800/);
      expect(between.version).to.be.greaterThan(early.version);
      await service.stop();

      offset = -24 * HOUR;
      service = await SettableService.start(home, () => offset);
      const { jumps } = (await service.get('/health')).json.clock;
      expect(jumps.map(({ found }: { found: string }) => found)).to.deep.equal(['running', 'start']);
      expect(jumps[1].by_ms).to.be.within(-24 * HOUR - 500, -24 * HOUR + 20_000);
      const early2 = (await service.get(`/api/v1/incidents/get?id=${late.id}`)).json;
      expect(early2).to.deep.equal(late);
      await service.stop();

      // The same without a database, and from here on the clock goes on.
      rmSync(join(home.directory, 'audit.sqlite'));
      service = await SettableService.start(home, () => offset);
      expect((await service.get('/health')).json.clock.jumps).to.deep.equal(jumps);
      expect((await service.get(`/api/v1/incidents/get?id=${late.id}`)).json).to.deep.equal(late);
      await home.expectSound();
    } finally {
      await service.stop();
    }
  });
});
