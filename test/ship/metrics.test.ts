import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { systemClock } from '../../src/clock.ts';
import { ShipMetrics } from '../../src/ship/metrics.ts';
import { Progress } from '../../src/ship/progress.ts';
import { ROOT } from '../support/programs.ts';

describe('the figures of the shipper', () => {
  it('are those that the alert rules speak of', async () => {
    const metrics = new ShipMetrics(new Progress(systemClock, () => {}), systemClock);
    const text = await metrics.exposition.render('text/plain; version=0.0.4; charset=utf-8');
    metrics.stop();
    const rules = readFileSync(join(ROOT, 'systemd/incident-recorder.rules.yaml'), 'utf8');
    const spoken = [...new Set(rules.match(/\bincident_shipper_[a-z_]+/g))];
    expect(spoken).to.include('incident_shipper_behind_entries');
    expect(spoken.filter((name) => !text.includes(`# TYPE ${name} `))).to.deep.equal([]);
  });
});
