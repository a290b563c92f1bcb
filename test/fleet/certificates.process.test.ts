/** A machine that shows a certificate instead of a token, over TLS. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { needs } from '../faults/support/needs.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Engine } from './support/engines.ts';
import { MachineLog } from './support/machine-log.ts';

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout'];

describe('a machine with a client certificate', () => {
  needs('openssl');
  const engine = new Engine('PGlite');
  const directories = temporaryDirectories();
  let directory: string;
  let fleet: Fleet;

  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
  const authority = (name: string): void =>
    openssl('req', '-x509', '-days', '2', ...NEW_KEY, `${name}.key`, '-out', `${name}.pem`, '-subj', '/CN=authority');
  const certificate = (file: string, name: string, by: string): void => {
    openssl('req', ...NEW_KEY, `${file}.key`, '-out', `${file}.csr`, '-subj', `/CN=${name}`);
    const signer = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-days', '2'];
    openssl('x509', '-req', '-in', `${file}.csr`, ...signer, '-out', `${file}.pem`, '-extfile', 'ext');
  };
  const file = (name: string): string => join(directory, name);

  before(async () => {
    directory = directories();
    writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1');
    for (const name of ['ours', 'theirs']) authority(name);
    certificate('fleet', 'fleet', 'ours');
    certificate('m1', 'm1', 'ours');
    certificate('m2', 'm2', 'ours');
    certificate('forged', 'm1', 'theirs');
    const tls = { certPath: file('fleet.pem'), keyPath: file('fleet.key'), clientCaPath: file('ours.pem') };
    fleet = await engine.fleet({ tls });
    for (const machine of ['m1', 'm2']) {
      const secret = await fleet.enrolment.invite(machine, {}, 'test');
      await fleet.enrolment.enrol({ machine, secret, token_sha256: 'a'.repeat(64), public_key: 'key' });
    }
  });
  after(async () => {
    await fleet.stop();
    engine.end();
  });

  const log = new MachineLog('m1').fill(10);
  const send = (machine: string, shown: string | undefined, authorization?: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const client =
        shown === undefined
          ? {}
          : { cert: readFileSync(file(`${shown}.pem`)), key: readFileSync(file(`${shown}.key`)) };
      const sent = request(
        {
          ...fleet.address,
          method: 'PUT',
          path: `/api/v1/machines/${machine}/logs/${log.id}/entries?from=1`,
          ca: readFileSync(file('ours.pem')),
          agent: false,
          headers: authorization === undefined ? {} : { authorization },
          ...client,
        },
        (response) => {
          response.resume();
          response.once('end', () => resolve(response.statusCode!));
        },
      );
      sent.once('error', reject);
      sent.end(log.body(1));
    });

  it('is let in as the machine that it names, by those alone whom the fleet trusts', async () => {
    expect(await send('m1', 'm1')).to.equal(200);
    expect(await send('m2', 'm1')).to.equal(403);
    expect(await send('m1', 'm2')).to.equal(403);
    expect(await send('m1', 'forged')).to.equal(401);
    expect(await send('m1', undefined)).to.equal(401);
    // A wrong token is not made good by a certificate.
    expect(await send('m1', 'm1', 'Bearer wrong')).to.equal(403);
    await fleet.enrolment.revoke('m1', 'test');
    expect(await send('m1', 'm1')).to.equal(403);
  });
});
