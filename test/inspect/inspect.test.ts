import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInspector, type StatelyInspectionEvent } from '@statelyai/inspect';
import { expect } from 'chai';
import { eventually } from '../support/eventually.ts';
import { localServices } from '../support/local-service.ts';
import { ROOT } from '../support/programs.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('inspecting the actors', () => {
  const directory = temporaryDirectories();
  const start = localServices();

  it('shows each incident from its report on', async () => {
    const seen: StatelyInspectionEvent[] = [];
    const inspector = createInspector({ send: (event) => void seen.push(event) });
    inspector.start();
    const service = await start(new ServiceHome(directory()), { inspect: inspector.inspect });
    const { id } = (await service.report()).json;
    const shows = (kind: string, word: string): boolean =>
      JSON.stringify(seen.filter(({ type }) => type === kind)).includes(word);
    // The inspector shows things when the process has nothing else to do.
    await eventually(() => shows('@xstate.actor', id) && shows('@xstate.snapshot', 'contained'));
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
