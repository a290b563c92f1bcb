import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect, createServer as createPlainServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { FleetConnection } from '../../src/ship/fleet-connection.ts';
import { needs } from '../faults/support/needs.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const VARIABLE = 'NODE_TLS_REJECT_UNAUTHORIZED';

/** Listens with a queue for one, and says on which port. */
const ACCEPTS = `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () =>
  console.log(server.address().port))`;

describe('the connection to the fleet', () => {
  needs('openssl');
  const directory = temporaryDirectories();
  const seen: (string | undefined)[] = [];
  let server: Server;
  let at: string;
  let url: string;

  before(async () => {
    at = directory();
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const name = ['-subj', '/CN=fleet', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const made = ['req', '-x509', ...key, '-keyout', 'key.pem', '-out', 'cert.pem', ...name];
    execFileSync('openssl', made, { cwd: at, stdio: 'ignore' });
    writeFileSync(join(at, 'token'), 'the token of the machine\n');
    const [privateKey, cert] = ['key.pem', 'cert.pem'].map((file) => readFileSync(join(at, file)));
    server = createServer({ key: privateKey, cert }, ({ headers }, response) => {
      seen.push(headers.authorization);
      response.end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());
  afterEach(() => {
    Reflect.deleteProperty(process.env, VARIABLE);
    seen.splice(0);
  });

  const ask = async (caPath?: string, where = url, connectWithin = 5000, address?: string): Promise<unknown> => {
    const connection = new FleetConnection({
      url: where,
      tokenPath: join(at, 'token'),
      caPath,
      connectWithin,
      address,
    });
    const { signal } = new AbortController();
    try {
      return (await connection.send({ method: 'GET', path: '/', patience: 5000, signal })).status;
    } catch (error) {
      return (error as Error).message;
    } finally {
      connection.close();
    }
  };

  it('shows the token to the fleet of the certificate', async () => {
    expect(await ask(join(at, 'cert.pem'))).to.equal(200);
    expect(seen).to.deep.equal(['Bearer the token of the machine']);
  });

  it('says what did not come about in time: a connection, or a handshake', async () => {
    // It is stopped, so the system takes connections for it until its queue is full, and then no more.
    const stopped = spawn(process.execPath, ['-e', ACCEPTS], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(stopped.stdout, 'data')) as [Buffer];
    const port = Number(said);
    const waiting: Socket[] = [];
    try {
      stopped.kill('SIGSTOP');
      expect(await ask(undefined, `https://127.0.0.1:${port}`, 300)).to.include('(no TLS handshake in 300 ms)');
      for (let isTaken = true; isTaken;) {
        const socket = connect(port, '127.0.0.1');
        waiting.push(socket);
        isTaken = await Promise.race([once(socket, 'connect').then(() => true), wait(1500, false)]);
      }
      expect(await ask(undefined, `https://127.0.0.1:${port}`, 300)).to.include('(no connection in 300 ms)');
      const named = await ask(undefined, `https://fleet.example:${port}`, 300, '127.0.0.1');
      expect(named).to.include('(no connection in 300 ms)');
    } finally {
      for (const socket of waiting) socket.on('error', () => {}).destroy();
      stopped.kill('SIGKILL');
      await once(stopped, 'exit');
    }
  });

  it('waits for no answer that comes byte by byte and never ends', async () => {
    const drips: NodeJS.Timeout[] = [];
    const dripping = createPlainServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (request) => {
        const inHeaders = request.toString().startsWith('GET /headers');
        socket.write(inHeaders ? 'HTTP/1.1 200 OK\r\nx: ' : 'HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n');
        drips.push(setInterval(() => socket.write('7'), 20));
      });
    });
    dripping.listen(0, '127.0.0.1');
    await once(dripping, 'listening');
    const { port } = dripping.address() as AddressInfo;
    const connection = new FleetConnection({ url: `http://127.0.0.1:${port}` });
    const { signal } = new AbortController();
    try {
      for (const path of ['/headers', '/body']) {
        const sent = connection.send({ method: 'GET', path, patience: 100, signal }).then(
          () => 'answered',
          (error: Error) => error.message,
        );
        expect(await Promise.race([sent, wait(3000, 'it waits')]), path).to.include('is not whole after 400 ms');
      }
    } finally {
      connection.close();
      for (const drip of drips) clearInterval(drip);
      dripping.close();
    }
  });

  it('shows it to nobody else, whatever the environment says', async () => {
    expect(await ask()).to.include('no answer from the fleet');
    process.env[VARIABLE] = '0';
    expect(await ask()).to.include('no answer from the fleet');
    expect(seen).to.deep.equal([]);
  });
});
