import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Impostor, NotReachable, RecorderClient, Refused, type Report } from '../../src/client/index.ts';
import { localServices } from '../support/local-service.ts';
import { TOKEN } from '../support/service-client.ts';
import { ServiceHome } from '../support/service-home.ts';
import { hanging, listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT: Report = { class: 'prompt_injection', source: 'tool-firewall', description: 'hidden instructions' };

describe('RecorderClient', () => {
  const directory = temporaryDirectories();
  const start = localServices();
  const listen = listeningTargets();
  const clients: RecorderClient[] = [];

  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  /** A recorder on a unix socket, and a client of it. */
  const setUp = async () => {
    const home = new ServiceHome(directory());
    const env = { BIND_ADDR: `unix:${join(home.directory, 'socket')}` };
    const client = new RecorderClient({ url: env.BIND_ADDR, tokenPath: home.token, timeout: 20_000 });
    clients.push(client);
    return { home, client, run: () => start(home, { env }) };
  };

  const failure = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => expect.fail('it should have failed'),
      (error: unknown) => error,
    );

  it('reports, once for each key, and again as an occurrence', async () => {
    const { client, run } = await setUp();
    await run();
    const { outcome, incident } = await client.report({ ...REPORT, dedup_key: 'a' }, { key: 'first' });
    expect(outcome).to.equal('created');
    expect(incident).to.include({ class: 'prompt_injection', severity: 'high', state: 'contained', occurrences: 1 });
    const replayed = await client.report({ ...REPORT, dedup_key: 'a' }, { key: 'first' });
    expect(replayed).to.deep.equal({ outcome: 'replayed', incident });
    const recurred = await client.report({ ...REPORT, dedup_key: 'a' });
    expect(recurred.outcome).to.equal('recurred');
    expect(recurred.incident).to.include({ id: incident.id, occurrences: 2 });
  });

  it('works over TCP', async () => {
    const home = new ServiceHome(directory());
    const { port } = await start(home);
    for (const url of [`http://127.0.0.1:${port}`, `http://localhost:${port}/`]) {
      const client = new RecorderClient({ url, tokenPath: home.token });
      clients.push(client);
      expect((await client.report(REPORT)).outcome).to.equal('created');
    }
  });

  it('throws the refusal of the recorder, and does not ask twice', async () => {
    const { client, run } = await setUp();
    await run();
    const refused = await failure(client.report({ ...REPORT, class: 'nonsense' as never }));
    expect(refused).to.be.instanceOf(Refused).and.to.include({ status: 400, passing: false });
    expect((refused as Refused).message).to.equal('refused (400): invalid incident class');
    expect((refused as Refused).body.allowed).to.include('prompt_injection');
  });

  it('reads the token again when it has been replaced', async () => {
    const { home, client, run } = await setUp();
    await run();
    writeFileSync(home.token, 'another-token-0123456789\n');
    writeFileSync(home.token, `${TOKEN}\n`);
    expect((await client.report(REPORT)).outcome).to.equal('created');
    writeFileSync(join(home.directory, 'wrong'), 'a-wrong-token-0123456789');
    const url = `unix:${join(home.directory, 'socket')}`;
    const stranger = new RecorderClient({ url, tokenPath: join(home.directory, 'wrong') });
    clients.push(stranger);
    // Two that know different tokens can't prove anything to each other.
    expect(await failure(stranger.report(REPORT, { retries: 0 }))).to.be.instanceOf(Impostor);
  });

  it('tries again until the recorder is reachable', async () => {
    const { home, run } = await setUp();
    const url = `unix:${join(home.directory, 'socket')}`;
    const patient = new RecorderClient({ url, tokenPath: home.token, retries: 100 });
    clients.push(patient);
    const reported = patient.report(REPORT);
    await run();
    expect((await reported).outcome).to.equal('created');
  });

  it('says when the recorder is unreachable, and stops when its signal is aborted', async () => {
    const { home } = await setUp();
    const url = `unix:${join(home.directory, 'socket')}`;
    const hasty = new RecorderClient({ url, tokenPath: home.token, retries: 1 });
    clients.push(hasty);
    const error = await failure(hasty.report(REPORT));
    expect(error).to.be.instanceOf(NotReachable);
    expect((error as Error).message).to.equal(`no recorder at ${url} (ENOENT)`);
    const stop = new AbortController();
    const waiting = failure(hasty.report(REPORT, { retries: 1000, signal: stop.signal }));
    stop.abort(new Error('enough'));
    expect(await waiting).to.have.property('message', 'enough');
  });

  it('gives up on one that does not answer', async () => {
    const { home } = await setUp();
    const socket = join(home.directory, 'socket');
    await listen(socket, hanging);
    const url = `unix:${socket}`;
    const hasty = new RecorderClient({ url, tokenPath: home.token, retries: 0, timeout: 100 });
    clients.push(hasty);
    expect(await failure(hasty.report(REPORT))).to.have.property(
      'message',
      `no recorder at ${url} (no answer within 100 ms)`,
    );
  });

  it('reads with its token where reads need one', async () => {
    const home = new ServiceHome(directory());
    const { port } = await start(home, { env: { READ_ACCESS: 'token' } });
    const url = `http://127.0.0.1:${port}`;
    const knowing = new RecorderClient({ url, tokenPath: home.token, retries: 0 });
    const ignorant = new RecorderClient({ url, prove: false, retries: 0 });
    clients.push(knowing, ignorant);
    expect((await knowing.posture('freeze_agent'))?.posture.engaged).to.equal(false);
    expect(await failure(ignorant.posture('freeze_agent')))
      .to.be.instanceOf(Refused)
      .with.property('status', 403);
  });

  it('refuses other forms of URLs', () => {
    for (const url of ['https://127.0.0.1', 'http://127.0.0.1/path', 'unix:socket', '127.0.0.1:8515', 'nonsense']) {
      expect(() => new RecorderClient({ url }), url).to.throw(TypeError, 'http://host:port or unix:/path');
    }
  });
});
