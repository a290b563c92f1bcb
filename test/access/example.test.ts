/** The appliance's example: it is taken, binds the reporters as they are, and finds their credentials. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseAccess } from '../../src/access/access-file.ts';
import { ROOT } from '../support/programs.ts';

const CREDENTIALS = '/run/credentials/secure-ai-incident-recorder.service/';
const text = readFileSync(join(ROOT, 'policy/examples/incident-access.yaml'), 'utf8');
const dropIn = readFileSync(join(ROOT, 'systemd/drop-ins/access-credentials.conf'), 'utf8');

describe('the example of an access file', () => {
  const { principals, service_token } = parseAccess(text, 'incident-access.yaml');

  it('binds each reporter of the appliance to its name and its classes', () => {
    const bindings = Object.entries(principals).map(([name, { roles, sources, classes }]) => ({
      name,
      roles,
      sources,
      classes,
    }));
    const reporter = (name: string, ...classes: readonly string[]) => ({
      name,
      roles: ['reporter'],
      sources: [name],
      classes,
    });
    expect(bindings).to.deep.equal([
      reporter('canary-tripwire', 'integrity_violation'),
      reporter('gpu-integrity-watch', 'model_behavior_anomaly', 'manifest_mismatch', 'integrity_violation'),
      reporter('integrity-monitor', 'manifest_mismatch', 'integrity_violation'),
      reporter('runtime-attestor', 'attestation_failure'),
    ]);
  });

  it('has the other tokens of the appliance as comments, each with its credential', () => {
    const uncommented = text.replaceAll(/^ {2}#([a-z-]+:$| {2}(?:roles|token_path):)/gm, '  $1');
    const added = Object.entries(parseAccess(uncommented, 'incident-access.yaml').principals).slice(4);
    expect(added.map(([name, { roles }]) => [name, roles])).to.deep.equal([
      ['health-check', ['reader']],
      ['operators', ['operator']],
      ['recovery-admin', ['recovery']],
      ['forensic-script', ['auditor']],
    ]);
    const offered = [...dropIn.matchAll(/^#LoadCredential=([\w-]+):(\S+)$/gm)];
    expect(added.map(([, grant]) => 'token_path' in grant && grant.token_path)).to.deep.equal(
      offered.map(([, name]) => `${CREDENTIALS}${name}`),
    );
    expect(offered.map(([, , path]) => path)).to.deep.equal(
      ['read', 'operator', 'recovery-admin', 'forensic'].map(
        (name) => `/var/lib/secure-ai/credentials/incident-${name}.token`,
      ),
    );
  });

  it('gives the service token nothing that a person does', () => {
    expect(service_token?.roles).to.deep.equal(['reader', 'reporter', 'implementer']);
  });

  it('finds each token where the drop-in puts it', () => {
    const loaded = [...dropIn.matchAll(/^LoadCredential=([\w-]+):(\S+)$/gm)].map(([, name, path]) => ({ name, path }));
    expect(
      Object.entries(principals).map(([name, place]) => [name, 'token_path' in place && place.token_path]),
    ).to.deep.equal(loaded.map(({ name }) => [name?.replace(/-token$/, ''), `${CREDENTIALS}${name}`]));
    expect(loaded.map(({ path }) => path)).to.deep.equal(
      ['canary', 'gpu-integrity', 'integrity-monitor', 'runtime-attestor'].map(
        (name) => `/var/lib/secure-ai/credentials/incident-reporter-${name}.token`,
      ),
    );
  });
});
