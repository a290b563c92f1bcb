import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { manPage } from '../../src/build/man-page.ts';
import { ROOT } from '../support/running-service.ts';

describe('the manual page', () => {
  it('says what the command line does (npm run man updates it)', async () => {
    expect(readFileSync(join(ROOT, 'systemd/incident-recorder.1'), 'utf8')).to.equal(await manPage());
  });
});
