import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { load } from 'js-yaml';
import { needs } from '../faults/support/needs.ts';
import { ROOT } from '../support/running-service.ts';

const RULES = join(ROOT, 'systemd/incident-recorder.rules.yaml');
const TESTS = join(import.meta.dirname, 'alerts.test.yaml');

describe('the alert rules', () => {
  it('are tried one and all', () => {
    const { groups } = load(readFileSync(RULES, 'utf8')) as { groups: { rules: { alert: string }[] }[] };
    const alerts = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
    const tried = new Set(readFileSync(TESTS, 'utf8').match(/(?<=alertname: )\w+/g));
    expect([...tried].toSorted()).to.deep.equal(alerts.toSorted());
  });

  describe('tried by promtool', () => {
    needs('promtool');

    it('fire when they should, and only then', () => {
      const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', TESTS], { encoding: 'utf8' });
      expect(status, stdout + stderr).to.equal(0);
    });

    it('are in good form', () => {
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', RULES], { encoding: 'utf8' });
      expect(status, stdout + stderr).to.equal(0);
    });
  });
});
