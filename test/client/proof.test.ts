/** What the client sends to, and believes of, something at the recorder's address that is not the recorder. */
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { Impostor, type Posture, RecorderClient, ReportSpool, type Report } from '../../src/client/index.ts';
import { localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { relayed, Squatter, type SquatterOptions } from './support/squatter.ts';

const REPORT: Report = { class: 'prompt_injection', source: 'tool-firewall', description: 'hidden instructions' };

describe('whom the client believes', () => {
  const directory = temporaryDirectories();
  const start = localServices();
  const open: { close(): unknown }[] = [];

  afterEach(async () => {
    for (const one of open.splice(0).toReversed()) await one.close();
  });

  const closing = <One extends { close(): unknown }>(one: One): One => {
    open.push(one);
    return one;
  };

  const squat = async (where: number | string, options?: SquatterOptions): Promise<Squatter> =>
    closing(await Squatter.listen(where, options));

  const clientOf = (home: ServiceHome, url: string): RecorderClient =>
    closing(new RecorderClient({ url, tokenPath: home.token, retries: 0 }));

  const failure = (work: Promise<unknown>): Promise<Error> =>
    work.then(
      () => expect.fail('it should have failed'),
      (error: unknown) => error as Error,
    );

  it('gives a squatter neither the token nor the report, and calls it an impostor', async () => {
    const home = new ServiceHome(directory());
    const squatter = await squat(0);
    const client = clientOf(home, `http://127.0.0.1:${squatter.port}`);
    for (const work of [
      () => client.report(REPORT),
      () => client.confirm({ action: 'freeze_agent', directive: 'release' }),
      () => client.posture('freeze_agent'),
    ]) {
      const error = await failure(work());
      expect(error).to.be.instanceOf(Impostor).and.to.have.property('name', 'Impostor');
      expect(error.message).to.match(/^impostor at http:.* has not proved .*no Recorder-Proof/);
    }
    expect(squatter).to.deep.include({ tokens: [], bodies: [], asked: Array(3).fill('GET /livez') });
  });

  it('proves the recorder once for each connection, and without the token', async () => {
    const home = new ServiceHome(directory());
    const lines: { path?: string }[] = [];
    const { port } = await start(home, { logRequest: (fields) => lines.push(fields) });
    const client = clientOf(home, `http://127.0.0.1:${port}`);
    for (let number = 0; number < 3; number++) await client.report(REPORT);
    const paths = lines.map(({ path }) => path);
    expect(paths).to.deep.equal(['/livez', ...Array(3).fill('/api/v1/incidents/report')]);
  });

  it('gets the token with reads too, once it has proved itself, so that they are no stranger’s', async () => {
    const home = new ServiceHome(directory());
    const lines: { path?: string; trusted: boolean }[] = [];
    const { port } = await start(home, { logRequest: (fields, trusted) => lines.push({ ...fields, trusted }) });
    const client = clientOf(home, `http://127.0.0.1:${port}`);
    await client.posture('freeze_agent');
    expect(lines.map(({ path, trusted }) => [path, trusted])).to.deep.equal([
      ['/livez', false],
      ['/api/v1/containment/freeze_agent', true],
    ]);
  });

  it('asks for a proof again on a new connection, after the recorder has gone', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const client = clientOf(home, `http://127.0.0.1:${service.port}`);
    await client.report(REPORT);
    const { port } = service;
    await service.stop();
    const squatter = await squat(port);
    const errors = [await failure(client.report(REPORT)), await failure(client.report(REPORT))];
    expect(errors.at(-1)).to.be.instanceOf(Impostor);
    expect(squatter).to.deep.include({ tokens: [], bodies: [] });
    await squatter.close();
    await start(home, { env: { BIND_ADDR: `127.0.0.1:${port}` } });
    expect((await client.report(REPORT)).outcome).to.equal('created');
  });

  it('keeps what follow() has, and waits, while an impostor answers', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const { port } = service;
    const client = clientOf(home, `http://127.0.0.1:${port}`);
    const { incident } = await client.report(REPORT);
    const stop = new AbortController();
    const { promise: met, resolve: nowMet } = Promise.withResolvers<Error>();
    const onUnreachable = (error: Error): void => {
      if (error instanceof Impostor) nowMet(error);
    };
    const following = client.follow('freeze_agent', { signal: stop.signal, onUnreachable });
    const first = (await following.next()).value as Posture;
    expect(first.engaged).to.equal(true);
    let yielded: unknown;
    const second = following.next().then((next) => (yielded = next));
    await service.stop();
    const squatter = await squat(port);
    expect((await met).message).to.include('impostor');
    expect(yielded).to.equal(undefined);
    await squatter.close();
    const again = await start(home, { env: { BIND_ADDR: `127.0.0.1:${port}` } });
    await again.post('/api/v1/incidents/resolve', { id: incident.id });
    await second;
    expect(yielded).to.have.nested.property('value.engaged', false);
    expect(squatter).to.deep.include({ tokens: [], bodies: [] });
    stop.abort();
    await following.return(undefined);
  });

  it('keeps reports in the spool while an impostor answers, and delivers them to the recorder', async () => {
    const home = new ServiceHome(directory());
    const socket = join(home.directory, 'socket');
    const squatter = await squat(socket);
    const spool = closing(
      await ReportSpool.open(clientOf(home, `unix:${socket}`), { path: join(home.directory, 'spool') }),
    );
    expect(await spool.report(REPORT, 'a')).to.deep.equal({ outcome: 'spooled', key: 'a' });
    expect(spool.lastError).to.be.instanceOf(Impostor);
    await squatter.close();
    const service = await start(home, { env: { BIND_ADDR: `unix:${socket}` } });
    await spool.drained();
    expect((await service.get('/api/v1/incidents')).json).to.have.length(1);
    expect(squatter).to.deep.include({ tokens: [], bodies: [] });
  });

  it('does not believe a relay to the recorder at another address', async () => {
    const home = new ServiceHome(directory());
    const socket = join(home.directory, 'socket');
    const { port } = await start(home, { env: { BIND_ADDR: `127.0.0.1:0,unix:${socket}` } });
    for (const to of [{ port }, { socketPath: socket }]) {
      for (const where of [0, join(home.directory, `relay-${JSON.stringify(to).length}`)]) {
        const relay = closing(
          createServer((incoming, response) => {
            void relayed(incoming, to).then(({ status, headers, text }) =>
              response.writeHead(status, headers).end(text),
            );
          }),
        );
        if (typeof where === 'string') relay.listen(where);
        else relay.listen(where, '127.0.0.1');
        await once(relay, 'listening');
        const url = where === 0 ? `http://127.0.0.1:${(relay.address() as AddressInfo).port}` : `unix:${where}`;
        const error = await failure(clientOf(home, url).report(REPORT));
        expect(error).to.be.instanceOf(Impostor);
        expect(error.message).to.include('the Recorder-Proof in its answer is wrong');
      }
    }
  });

  it('does not believe who relays, from an old connection, to the recorder that has come back to the address', async () => {
    const home = new ServiceHome(directory());
    const { promise: challenged, resolve: nowChallenged } = Promise.withResolvers<void>();
    const { promise: recorderIsBack, resolve: nowBack } = Promise.withResolvers<void>();
    const squatter = await squat(0, {
      answer: async (incoming) => {
        nowChallenged();
        await recorderIsBack;
        return relayed(incoming, { port });
      },
    });
    const { port } = squatter;
    const reporting = failure(clientOf(home, `http://127.0.0.1:${port}`).report(REPORT));
    await challenged;
    await squatter.leaveAddress();
    await start(home, { env: { BIND_ADDR: `127.0.0.1:${port}` } });
    nowBack();
    const error = await reporting;
    expect(error).to.be.instanceOf(Impostor);
    expect(error.message).to.include('is wrong');
    expect(squatter.tokens).to.deep.equal([]);
  });

  it('believes nothing without a token of its own, unless it is asked to', async () => {
    const home = new ServiceHome(directory());
    const { port } = await start(home);
    const url = `http://127.0.0.1:${port}`;
    const error = await failure(closing(new RecorderClient({ url })).posture('freeze_agent'));
    expect(error).to.be.instanceOf(TypeError);
    expect(error.message).to.include('tokenPath');
    const credulous = closing(new RecorderClient({ url, prove: false }));
    expect((await credulous.posture('freeze_agent'))?.posture.engaged).to.equal(false);
  });

  it('believes no answer that is malformed, endless or longer than it says, and sends it nothing', async () => {
    const home = new ServiceHome(directory());
    const answers = [
      ['SSH-2.0-OpenSSH_9.2\r\n\r\n', 'not that of a recorder'],
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'not that of a recorder'],
      [`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(4000)}`, 'too long'],
      ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab', 'longer than it says'],
      [`HTTP/1.1 200 OK\r\nRecorder-Proof: ${'0'.repeat(64)}\r\nContent-Length: 0\r\n\r\n`, 'is wrong'],
      [`HTTP/1.1 200 OK\r\nRecorder-Proof: ${'0'.repeat(63)}\r\nContent-Length: 0\r\n\r\n`, 'no Recorder-Proof'],
    ] as const;
    for (const [answer, why] of answers) {
      let got = '';
      const stranger = createNetServer((socket) => {
        socket.on('error', () => {}).setEncoding('latin1');
        socket.on('data', (chunk: string) => {
          got += chunk;
          socket.write(answer);
        });
      });
      closing({ close: () => stranger.close() });
      stranger.listen(0, '127.0.0.1');
      await once(stranger, 'listening');
      const { port } = stranger.address() as AddressInfo;
      const error = await failure(clientOf(home, `http://127.0.0.1:${port}`).report(REPORT));
      expect(error, why).to.be.instanceOf(Impostor);
      expect(error.message).to.include(why);
      expect(got.match(/^[\w-]+: /gm), 'the challenge alone').to.deep.equal(['Host: ', 'Recorder-Challenge: ']);
    }
  });

  it('does not wait for ever for a proof', async () => {
    const home = new ServiceHome(directory());
    const silent = closing(createServer(() => {}));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const client = closing(new RecorderClient({ url, tokenPath: home.token, retries: 0, timeout: 100 }));
    const error = await failure(client.report(REPORT));
    expect(error.message).to.equal(`no recorder at ${url} (no answer within 100 ms)`);
    silent.closeAllConnections();
  });
});
