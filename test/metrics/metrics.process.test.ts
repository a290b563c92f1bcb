import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { FORMATS } from '../../src/metrics/exposition.ts';
import { needs } from '../faults/support/needs.ts';
import { localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const [OPENMETRICS, PROMETHEUS] = FORMATS;

describe('GET /metrics', () => {
  const start = localServices();
  const makeDirectory = temporaryDirectories();

  /** What is shown when an incident has been reported. */
  const scrape = async (accept: string): Promise<string> => {
    const service = await start(new ServiceHome(makeDirectory()));
    await service.report();
    const { status, text } = await service.send('GET', '/metrics', { token: null, headers: { accept } });
    expect(status).to.equal(200);
    return text;
  };

  describe('checked by promtool', () => {
    needs('promtool');

    it('has names and units by the conventions', async () => {
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
        input: await scrape(PROMETHEUS),
        encoding: 'utf8',
      });
      expect([status, stdout, stderr]).to.deep.equal([0, '', '']);
    });
  });

  describe('read by the OpenMetrics parser of Prometheus’ Python client', () => {
    needs('openmetrics');

    it('is OpenMetrics to the letter', async () => {
      const program =
        'import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n' +
        'print(len(list(parse(sys.stdin.read()))))';
      const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-c', program], {
        input: await scrape(OPENMETRICS),
        encoding: 'utf8',
      });
      expect(stderr).to.equal('');
      expect(Number(stdout)).to.be.above(20);
    });
  });
});
