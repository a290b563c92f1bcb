/** The parts of a recorder that a shipper uses, over real HTTP. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { bodyOf, json, TestServer } from './http.ts';
import type { ChainLine } from './chain.ts';

export const RECORDER_TOKEN = 'recorder-token-of-the-shipper';

export class TestRecorder extends TestServer {
  log = 'a'.repeat(64);
  lines: ChainLine[] = [];
  /** The first entry that is not archived. */
  first = 1;
  /** Whether the entries before that are still in its archive. */
  isArchiveThere = false;
  readonly anchors: string[] = [];
  readonly commands: string[] = [];
  /** Answers commands and anchors: by default as a recorder that takes all. */
  answer: (path: string, body: Record<string, string>) => readonly [number, object] = (path, body) =>
    path.endsWith('/anchors')
      ? [201, { recorded: true, seq: 1, at: 'now' }]
      : [200, { id: body.command, status: 200, body: { ok: true } }];
  /** Is asked for each request of the log: true cuts the answer in the middle. */
  cutsLog: () => boolean = () => false;
  readonly opened: string[] = [];
  #followers = new Set<ServerResponse>();

  append(...lines: readonly ChainLine[]): void {
    this.lines.push(...lines);
    for (const follower of this.#followers) follower.write(lines.map(({ line }) => `${line}\n`).join(''));
  }

  override async stop(): Promise<void> {
    this.#followers.clear();
    await super.stop();
  }

  protected override async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://localhost');
    const body = await bodyOf(request);
    if (url.pathname !== '/health' && request.headers.authorization !== `Bearer ${RECORDER_TOKEN}`)
      return json(response, 403, { error: 'forbidden' });
    switch (url.pathname) {
      case '/api/v1/log':
        return this.#serveLog(url, response);
      case '/health':
        return json(response, 200, {
          status: 'ok',
          version: '0.1.0',
          audit: { last_seq: this.lines.length, log_id: this.log },
        });
      case '/api/v1/policy':
        return json(response, 200, {
          version: 1,
          source: 'file',
          path: '/p',
          digest: 'd1',
          loaded_at: 'x',
          rules: { a: 1 },
        });
      case '/api/v1/log/anchors':
      case '/api/v1/fleet/commands': {
        const sent = JSON.parse(body.toString()) as Record<string, string>;
        if (url.pathname.endsWith('anchors')) this.anchors.push(sent.anchor!);
        else this.commands.push(sent.command!);
        const [status, answer] = this.answer(url.pathname, sent);
        return json(response, status, answer);
      }
      default:
        return json(response, 404, { error: 'not found' });
    }
  }

  async #serveLog(url: URL, response: ServerResponse): Promise<void> {
    this.opened.push(url.search);
    const from = Number(url.searchParams.get('from') ?? 1);
    const limit = Number(url.searchParams.get('limit') ?? Infinity);
    const follows = url.searchParams.get('follow') === 'true';
    const isArchived = this.isArchiveThere && url.searchParams.get('archived') === 'true';
    const headers = {
      'log-id': this.log,
      'log-entries': String(this.lines.length),
      'log-first': String(isArchived ? 1 : this.first),
    };
    // As the recorder refuses: without the headers.
    const extent = { first_seq: this.first, last_seq: this.lines.length, log_id: this.log };
    if (from < this.first && !isArchived)
      return json(response, 410, { error: `archived; the first is ${this.first}`, ...extent });
    if (from > this.lines.length + 1) return json(response, 416, { error: 'not there yet', ...extent });
    response.writeHead(200, { 'content-type': 'application/x-ndjson', ...headers });
    response.setMaxListeners(0);
    const cut = this.cutsLog();
    if (follows && !cut) {
      this.#followers.add(response);
      response.once('close', () => this.#followers.delete(response));
    }
    const lines = this.lines.slice(from - 1, Math.min(from - 1 + limit, this.lines.length));
    for (let at = 0; at < lines.length; at += 500) {
      const text = lines
        .slice(at, at + 500)
        .map(({ line }) => `${line}\n`)
        .join('');
      if (cut && at > lines.length / 2) return void response.destroy();
      if (response.destroyed) return;
      if (!response.write(text))
        await Promise.race([once(response, 'drain'), once(response, 'close')].map((one) => one.catch(() => {})));
    }
    if (cut) return void response.destroy();
    if (!follows) response.end();
    else response.write('\n');
  }
}
