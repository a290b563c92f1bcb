import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInspector, type StatelyInspectionEvent } from '@statelyai/inspect';
import { expect } from 'chai';
import { eventually } from '../support/eventually.ts';
import { localServices } from '../support/local-service.ts';
import { ROOT } from '../support/programs.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

/** The states that an actor has shown, as JSON. */
const statesOf = (events: readonly StatelyInspectionEvent[], session: string): readonly string[] =>
  events.flatMap((event) => {
    if (event.type !== '@xstate.snapshot' || event.sessionId !== session) return [];
    return [JSON.stringify((event.snapshot as { readonly value?: unknown }).value)];
  });

describe('inspecting the actors', () => {
  const directory = temporaryDirectories();
  const start = localServices();

  it('shows each incident from its report on', async () => {
    const seen: StatelyInspectionEvent[] = [];
    const inspector = createInspector({ send: (event) => void seen.push(event) });
    inspector.start();
    const service = await start(new ServiceHome(directory()), { inspect: inspector.inspect });
    const ids = [(await service.report()).json.id, (await service.report()).json.id];
    const actors = () => seen.filter((event) => event.type === '@xstate.actor');
    // The inspector shows things when the process has nothing else to do.
    await eventually(() => actors().length === ids.length);
    const [first, second] = actors();
    expect([first?.name, second?.name]).to.deep.equal(ids);
    await eventually(() => statesOf(seen, second!.sessionId).includes('{"contained":"delivering"}'));

    await service.post('/api/v1/incidents/resolve', { id: ids[0] });
    await eventually(() => statesOf(seen, first!.sessionId).at(-1) === '"resolved"');
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
