/** The service on sockets that it did not open itself, as under `.socket` units of systemd. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { RecorderClient } from '../src/client/index.ts';
import { needsPrograms } from './cli/support/needs-programs.ts';
import { SERVICE } from './support/programs.ts';
import { quietPort } from './support/quiet-port.ts';
import { ServiceHome } from './support/service-home.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

describe('the service on sockets that systemd passes', () => {
  needsPrograms('systemd-socket-activate');
  const directory = temporaryDirectories();
  const running: ChildProcess[] = [];
  const clients: RecorderClient[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    for (const child of running.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    }
  });

  /** Starts systemd-socket-activate, which becomes the service at the first connection. */
  const activate = (home: ServiceHome, listen: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const all: Record<string, string> = { ...home.env, BIND_ADDR: '', ...env };
    const settings = Object.entries(all).map(([name, value]) => `--setenv=${name}=${value}`);
    const names = `--fdname=${listen.map((_, index) => `door-${index}`).join(':')}`;
    const args = [...listen.map((one) => `--listen=${one}`), names, ...settings, process.execPath, SERVICE];
    const child = spawn('systemd-socket-activate', args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH },
    });
    running.push(child);
    return child;
  };

  const listening = async (child: { readonly stderr: Readable }): Promise<void> => {
    for await (const chunk of child.stderr.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      if (String(chunk).includes('Listening on')) return;
    }
  };

  it('serves a port and a unix socket, and proves itself by the address of each', async () => {
    const home = new ServiceHome(directory());
    const [port, socket] = [await quietPort(), join(home.directory, 'a socket')];
    const child = activate(home, [`127.0.0.1:${port}`, socket]);
    await listening(child);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    child.stderr.resume();
    // The first connection waits while the service starts.
    for (const url of [`http://127.0.0.1:${port}`, `unix:${socket}`]) {
      const client = new RecorderClient({ url, tokenPath: home.token, timeout: 20_000 });
      clients.push(client);
      const report = { class: 'tool_call_burst', source: 'activated', description: url } as const;
      expect((await client.report(report)).outcome).to.equal('created');
    }
    // It writes its lines a moment later.
    while (!output.includes('"msg":"listening"')) await once(child.stdout, 'data');
    const said = output.split('\n').find((line) => line.includes('"msg":"listening"')) ?? '{}';
    expect(JSON.parse(said)).to.deep.include({
      addresses: [
        { kind: 'tcp', host: '127.0.0.1', port },
        { kind: 'unix', path: socket },
      ],
    });
  });

  it('does not bind again what it has been passed', async () => {
    const home = new ServiceHome(directory());
    const port = await quietPort();
    const bind = `127.0.0.1:${port},unix:${join(home.directory, 'own')}`;
    const child = activate(home, [`127.0.0.1:${port}`], { BIND_ADDR: bind });
    await listening(child);
    child.stdout.resume();
    child.stderr.resume();
    expect(await livez({ host: '127.0.0.1', port })).to.equal(200);
    expect(await livez({ socketPath: join(home.directory, 'own') })).to.equal(200);
  });

  it('refuses a socket that other machines reach, unless they are meant to', async () => {
    const home = new ServiceHome(directory());
    const port = await quietPort();
    const child = activate(home, [`0.0.0.0:${port}`]);
    await listening(child);
    const errors = text(child.stderr);
    child.stdout.resume();
    await livez({ host: '127.0.0.1', port }).catch(() => {});
    await once(child, 'close');
    expect(child.exitCode).to.equal(78);
    expect(await errors).to.match(
      /can't listen on the socket .*\(door-0\): 0\.0\.0\.0 port \d+ is not on the loopback/,
    );
  });

  async function livez(where: { host: string; port: number } | { socketPath: string }): Promise<number> {
    const sent = request({ ...where, path: '/livez', headers: { host: 'localhost' }, agent: new Agent() }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'close');
    return response.statusCode ?? 0;
  }
});
