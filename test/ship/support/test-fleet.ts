/**
 * A fleet over real HTTP that keeps what it takes in memory. It is strict: a request that is not as agreed is a fault of
 * the test. Entries are compared with what is there, links are checked, and a machine that comes back with another past
 * gets a history of its own.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { bodyOf, json, TestServer } from './http.ts';

export const FLEET_TOKEN = 'token-of-the-machine-at-the-fleet';
export const MACHINE = 'web-1';

interface StoredEntry {
  readonly line: string;
  readonly hash: string;
}

export class TestFleet extends TestServer {
  /** The histories of each log, the last one goes on. */
  readonly histories = new Map<string, StoredEntry[][]>();
  readonly statuses: Record<string, unknown>[] = [];
  readonly commands: { readonly id: string; readonly command: string }[] = [];
  readonly results: { readonly id: string; readonly status: number; readonly body: unknown }[] = [];
  readonly enrolments: Record<string, string>[] = [];
  readonly announced: number[] = [];
  batches = 0;
  /** Is asked before a batch is looked at: an answer instead. */
  instead: (lines: number) => readonly [number, object, Record<string, string>?] | undefined = () => undefined;
  /** Is asked after a batch was stored: true cuts the answer. */
  cutsAnswer: () => boolean = () => false;
  /** What it says that it has of a log, whatever it has. */
  holds: object | undefined;
  wantsPolicy = false;
  /** Whether a command that has a result is not given again. */
  keepsResults = true;
  /** In bytes. */
  longestResult = Infinity;
  divergences = 0;

  /** The lines of the history that goes on. */
  lines(log: string): readonly string[] {
    return (this.histories.get(log)?.at(-1) ?? []).map(({ line }) => line);
  }

  protected override async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://localhost');
    const body = await bodyOf(request);
    if (url.pathname === '/api/v1/enrol') return this.#enrol(request, body, response);
    expect(request.headers.authorization, 'the token').to.equal(`Bearer ${FLEET_TOKEN}`);
    const [, rest] = /^\/api\/v1\/machines\/web-1\/(.*)$/.exec(url.pathname) ?? [];
    expect(rest, url.pathname).to.be.a('string');
    const path = `${request.method} ${rest!.replace(/^logs\/[^/]+/, 'logs/L').replace(/^commands\/.*\//, 'commands/C/')}`;
    switch (path) {
      case 'GET logs/L':
        return this.#held(rest!.split('/')[1]!, response);
      case 'PUT logs/L/entries':
        return this.#store(rest!.split('/')[1]!, url, request, body, response);
      case 'PUT status': {
        const status = JSON.parse(body.toString()) as Record<string, unknown>;
        this.statuses.push(status);
        return json(response, 200, this.wantsPolicy ? { policy_wanted: true } : {});
      }
      case 'GET commands':
        return this.#giveCommands(Number(url.searchParams.get('wait')), response);
      case 'POST commands/C/result': {
        const id = rest!.split('/')[1]!;
        if (body.length > this.longestResult) return json(response, 413, { error: 'too long' });
        this.results.push({ id, ...(JSON.parse(body.toString()) as { status: number; body: unknown }) });
        if (this.keepsResults) this.commands.splice(this.commands.findIndex((one) => one.id === id) >>> 0, 1);
        return void response.writeHead(204).end();
      }
      default:
        throw new Error(`unexpected ${path}`);
    }
  }

  #held(log: string, response: ServerResponse): void {
    const histories = this.histories.get(log);
    if (this.holds !== undefined) return json(response, 200, { machine: MACHINE, log, ...this.holds });
    if (histories === undefined) return json(response, 404, { error: 'the log is not known' });
    const entries = histories.at(-1)!;
    json(response, 200, {
      machine: MACHINE,
      log,
      through: entries.length,
      hash: entries.at(-1)?.hash ?? '',
      ...(histories.length > 1 ? { diverged: { seq: 1 } } : {}),
    });
  }

  #store(log: string, url: URL, request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    this.batches += 1;
    expect(request.headers['content-type']).to.equal('application/x-ndjson');
    const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString();
    expect(text.endsWith('\n'), 'whole lines').to.equal(true);
    const lines = text.slice(0, -1).split('\n');
    expect(lines.length).to.be.within(1, 1000);
    expect(text.length).to.be.at.most(4 * 1024 * 1024);
    const from = Number(url.searchParams.get('from'));
    const announced = Number(request.headers['log-entries']);
    this.announced.push(announced);
    expect(Number(request.headers['log-first'])).to.be.at.most(from);
    expect(announced).to.be.at.least(from + lines.length - 1);
    const instead = this.instead(lines.length);
    if (instead !== undefined) return json(response, ...instead);
    if (!this.histories.has(log)) this.histories.set(log, [[]]);
    const histories = this.histories.get(log)!;
    const entries = histories.at(-1)!;
    const expected = { log, from: entries.length + 1, prev_hash: entries.at(-1)?.hash ?? '' };
    const heard = Number(request.headers['fleet-through'] ?? 0);
    // The log ends before what the fleet has, as both have said.
    if (heard > announced && heard <= entries.length && entries[announced - 1]?.line === lines[announced - from]) {
      this.divergences += 1;
      const kept = entries.slice(0, announced);
      histories.push(kept);
      return json(response, 200, {
        machine: MACHINE,
        log,
        through: announced,
        hash: kept.at(-1)!.hash,
        diverged: { why: 'cut', first_differing_seq: announced + 1 },
      });
    }
    if (from > entries.length + 1) return json(response, 409, { error: 'a gap', code: 'unexpected_from', expected });
    let kept = entries;
    for (const [n, line] of lines.entries()) {
      const seq = from + n;
      const entry = JSON.parse(line) as { data: { seq: number }; prev_hash: string; entry_hash: string };
      expect(entry.data.seq, 'the seq of a line').to.equal(seq);
      const there = kept[seq - 1];
      if (there !== undefined && there.line === line) continue;
      if (there !== undefined) {
        this.divergences += 1;
        kept = entries.slice(0, seq - 1);
        histories.push(kept);
      }
      if (entry.prev_hash !== (kept.at(-1)?.hash ?? '')) {
        if (kept !== entries) histories.pop();
        return json(response, 409, {
          error: 'another past',
          code: 'diverged',
          expected: { log, from: Math.max(1, from - 1000), prev_hash: '' },
        });
      }
      kept.push({ line, hash: entry.entry_hash });
    }
    if (this.cutsAnswer()) return void response.destroy();
    json(response, 200, {
      machine: MACHINE,
      log,
      through: kept.length,
      hash: kept.at(-1)!.hash,
      anchor: `anchor of ${kept.length}`,
    });
  }

  async #giveCommands(seconds: number, response: ServerResponse): Promise<void> {
    expect(seconds).to.be.within(0, 30);
    const until = Date.now() + seconds * 1000;
    while (this.commands.length === 0 && Date.now() < until && !response.destroyed)
      await new Promise((resolve) => setTimeout(resolve, 10));
    if (!response.destroyed) json(response, 200, this.commands);
  }

  #enrol(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    expect(request.headers.authorization).to.equal(undefined);
    const sent = JSON.parse(body.toString()) as Record<string, string>;
    if (sent.secret !== 'one-time') return json(response, 403, { error: 'the secret is wrong' });
    this.enrolments.push(sent);
    json(response, 201, { machine: sent.machine, fleet: 'test-fleet', fleet_key: 'test-fleet+0a0b0c0d+AAAA' });
  }
}
