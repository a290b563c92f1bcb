import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInspector, type StatelyInspectionEvent } from '@statelyai/inspect';
import { expect } from 'chai';
import pino from 'pino';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { startService } from '../../src/compose/service.ts';
import { ROOT, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('inspecting the actors', () => {
  const directory = temporaryDirectories();

  it('shows each incident from its report on', async () => {
    const seen: StatelyInspectionEvent[] = [];
    const inspector = createInspector({ send: (event) => void seen.push(event) });
    inspector.start();
    const config = readConfig(new ServiceHome(directory()).env);
    const service = await startService(config, systemClock, pino({ level: 'silent' }), { inspect: inspector.inspect });
    try {
      if (service.address.kind !== 'tcp') throw new Error('not served over TCP');
      const sent = request({
        host: service.address.host,
        port: service.address.port,
        agent: false,
        method: 'POST',
        path: '/api/v1/incidents/report',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      });
      sent.end(JSON.stringify({ class: 'prompt_injection', source: 'test', description: 'to be looked at' }));
      const [response] = await once(sent, 'response');
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      const { id } = JSON.parse(text) as { id: string };
      expect(JSON.stringify(seen.filter(({ type }) => type === '@xstate.actor'))).to.include(id);
      const snapshots = seen.filter(({ type }) => type === '@xstate.snapshot');
      expect(JSON.stringify(snapshots)).to.include('contained');
    } finally {
      await service.stop('test');
    }
  });

  it('is no part of what is shipped, nor is what draws the statecharts', () => {
    const files = readdirSync(join(ROOT, 'dist'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.[cm]?js$/.test(name),
    );
    expect(files).to.include('service.cjs');
    for (const file of files) {
      const code = readFileSync(join(ROOT, 'dist', file), 'utf8');
      for (const word of ['statelyai', 'stately.ai', 'WebAssembly', 'hpcc'])
        expect(code.includes(word), `${word} in ${file}`).to.equal(false);
    }
  });
});
