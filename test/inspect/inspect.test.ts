import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createInspector, type StatelyInspectionEvent } from '@statelyai/inspect';
import { expect } from 'chai';
import pino from 'pino';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { startService } from '../../src/compose/service.ts';
import { ROOT, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

/** The states that an actor has shown, as JSON. */
const statesOf = (events: readonly StatelyInspectionEvent[], session: string): readonly string[] =>
  events.flatMap((event) => {
    if (event.type !== '@xstate.snapshot' || event.sessionId !== session) return [];
    return [JSON.stringify((event.snapshot as { readonly value?: unknown }).value)];
  });

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
      const { host, port } = service.address;
      const post = async (path: string, body: object): Promise<string> => {
        const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
        const sent = request({ host, port, agent: false, method: 'POST', path: `/api/v1/incidents/${path}`, headers });
        sent.end(JSON.stringify(body));
        const [response] = await once(sent, 'response');
        return (JSON.parse(await text(response)) as { id: string }).id;
      };
      const report = { class: 'prompt_injection', source: 'test', description: 'to be looked at' };
      const ids = [await post('report', report), await post('report', report)];
      const actors = seen.filter((event) => event.type === '@xstate.actor');
      expect(actors.map(({ name }) => name)).to.deep.equal(ids);
      expect(new Set(actors.map(({ sessionId }) => sessionId)).size).to.equal(2);
      expect(statesOf(seen, actors[1]!.sessionId)).to.include('{"contained":"delivering"}');

      await post('resolve', { id: ids[0] });
      expect(statesOf(seen, actors[0]!.sessionId).at(-1)).to.equal('"resolved"');
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
