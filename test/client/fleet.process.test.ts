import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { RecorderClient } from '../../src/client/recorder-client.ts';
import { run } from '../cli/support/command-line.ts';
import { needs } from '../faults/support/needs.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('a fleet over https', () => {
  needs('openssl');
  const directory = temporaryDirectories();
  const seen: string[] = [];
  let server: Server;
  let url: string;
  let token: string;
  let ca: string;

  before(async () => {
    const at = directory();
    token = join(at, 'token');
    ca = join(at, 'cert.pem');
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const name = ['-subj', '/CN=fleet', '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', '-x509', ...key, '-keyout', 'key.pem', '-out', 'cert.pem', ...name], {
      cwd: at,
      stdio: 'ignore',
    });
    writeFileSync(token, 'a-person', { mode: 0o600 });
    server = createServer(
      { key: readFileSync(join(at, 'key.pem')), cert: readFileSync(ca) },
      ({ url: path, headers }, response) => {
        seen.push(`${path} ${headers.authorization}`);
        response.setHeader('content-type', 'application/json').setHeader('etag', '"1"');
        response.end(path?.startsWith('/api/v1/containment') ? '{}' : '[]');
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());
  beforeEach(() => void seen.splice(0));

  it('is reached by the client that has its certificate', async () => {
    const client = new RecorderClient({ url, tokenPath: token, caPath: ca });
    expect(await client.posture('freeze_agent')).to.deep.include({ posture: {}, tag: '"1"' });
    client.close();
    expect(seen).to.have.length(1);
    expect(seen[0]).to.include('Bearer a-person');
    expect(() => new RecorderClient({ url, tokenPath: token })).to.throw(TypeError);
    expect(() => new RecorderClient({ url, tokenPath: token, caPath: `${ca}.none` })).to.throw('ENOENT');
  });

  it('gets the token from nobody who has another certificate, whatever the environment says', async () => {
    const variable = 'NODE_TLS_REJECT_UNAUTHORIZED';
    process.env[variable] = '0';
    const client = new RecorderClient({ url, tokenPath: token, mayBeFleet: true, retries: 0 });
    try {
      const error = await client.posture('freeze_agent').catch((fault: Error) => fault);
      expect(error).to.include({ name: 'NotReachable' });
    } finally {
      client.close();
      Reflect.deleteProperty(process.env, variable);
    }
    expect(seen).to.deep.equal([]);
  });

  it('is reached by the command line, with an option or a variable', async () => {
    const list = ['list', '--json', '--url', url, '--token-file', token];
    expect((await run([...list, '--ca', ca])).status).to.equal(0);
    expect((await run(list, { env: { INCIDENT_RECORDER_CA_PATH: ca } })).status).to.equal(0);
    expect(seen).to.have.length(2);
    expect((await run(list)).status).to.equal(3);
    expect((await run([...list, '--ca', `${ca}.none`])).stderr).to.include('ENOENT');
    expect(seen).to.have.length(2);
  });
});
