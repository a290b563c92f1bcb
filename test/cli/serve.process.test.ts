import { join } from 'node:path';
import { expect } from 'chai';
import { ROOT, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('incident-recorder serve', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  it('is the service, in the same process and under the flags of Node that it was given', async () => {
    for (const main of ['src/cli/main.ts', 'dist/cli.js']) {
      const flags = main.startsWith('dist') ? ['--jitless'] : [];
      const service = await start(new ServiceHome(directory()), { command: [...flags, join(ROOT, main), 'serve'] });
      expect((await service.report()).status, main).to.equal(201);
      expect(await service.end('SIGTERM'), main).to.equal(0);
    }
  });
});
