/**
 * The services of the appliance that carry out containment, as they are to the recorder: strict about method, path, token,
 * fields and words. None of them takes a request that undoes what it did.
 */
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export type Fields = Readonly<Record<string, string>>;

/** A request that a service has answered. */
export interface Taken {
  readonly status: number;
  readonly fields: Fields;
  /** Of the header `Containment-Drill`. */
  readonly drill: boolean;
}

/** How a service answers a request whose method, path, token and fields are good. `signal` aborts when it is closed. */
export type Answering = (fields: Fields, signal: AbortSignal) => Promise<readonly [status: number, body: object]>;

export interface Description {
  readonly path: string;
  readonly token: string;
  readonly action: string;
  /** The fields that it knows; it refuses any other, and one that is no string. */
  readonly fields: readonly string[];
  readonly answer: Answering;
}

/** A service that takes one kind of request, on a port or a unix socket. */
export class Service {
  readonly taken: Taken[] = [];
  readonly description: Description;
  /** How it answers now; a test may replace it. */
  answer: Answering;
  readonly #server: Server;
  readonly #closing = new AbortController();

  constructor(description: Description) {
    this.description = description;
    this.answer = description.answer;
    this.#server = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => (text += part));
      request.on('end', () => {
        void (async () => {
          const fields = fieldsOf(text);
          const { method, url, headers } = request;
          const refused = this.#refusal(method, url, headers.authorization, headers['content-type'], fields);
          const [status, body] = refused ?? (await this.answer(fields!, this.#closing.signal));
          this.taken.push({ status, fields: fields ?? {}, drill: headers['containment-drill'] === 'true' });
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        })();
      });
    });
  }

  /** @param where a port, 0 for any, or the path of a unix socket */
  async listen(where: number | string = 0): Promise<void> {
    if (typeof where === 'string') this.#server.listen(where);
    else this.#server.listen(where, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** What it has carried out, drills apart. */
  get carriedOut(): readonly Fields[] {
    return this.taken.filter(({ status, drill }) => status === 200 && !drill).map(({ fields }) => fields);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#closing.abort();
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #refusal(
    method: string | undefined,
    url: string | undefined,
    authorization: string | undefined,
    type: string | undefined,
    fields: Fields | undefined,
  ): readonly [number, object] | undefined {
    const { path, token, action, fields: known } = this.description;
    if (url !== path) return [404, { error: 'not found' }];
    if (method !== 'POST') return [405, { error: 'method not allowed' }];
    if (authorization !== `Bearer ${token}`) return [403, { error: 'forbidden' }];
    if (type !== 'application/json' || fields === undefined) return [400, { error: 'invalid request body' }];
    const { incident_id: id, reason = '' } = fields;
    const unknown = Object.keys(fields).filter((name) => !known.includes(name));
    if (unknown.length > 0) return [400, { error: `unknown containment field: ${unknown.join(', ')}` }];
    if (fields.action !== action || id === undefined) return [400, { error: 'action and incident_id are required' }];
    if (!/^[\w.-]{1,128}$/.test(id)) return [400, { error: 'invalid incident_id' }];
    if (Buffer.byteLength(reason) > 1024) return [400, { error: 'reason too long' }];
    return undefined;
  }
}

/** An object whose values are strings; undefined when the text is anything else. */
function fieldsOf(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return Object.values(value).every((one) => typeof one === 'string') ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

const COMMON = ['action', 'incident_id', 'reason'];

/** The agent: it freezes, and answers when the work that is under way has ended. */
export const agent = (token: string, drainsFor: () => number): Service =>
  new Service({
    path: '/api/v1/freeze',
    token,
    action: 'freeze',
    fields: COMMON,
    answer: async ({ incident_id }, signal) => {
      await pause(drainsFor(), undefined, { signal }).catch(() => {});
      return [200, { status: 'frozen', drained: true, active_executions: 0, incident_id, persisted: true }];
    },
  });

export const airlock = (token: string): Service =>
  new Service({
    path: '/api/v1/disable',
    token,
    action: 'disable',
    fields: COMMON,
    answer: async ({ incident_id }) => [200, { status: 'disabled', incident_id, persisted: true }],
  });

/** The registry: a model that it does not have, or not any more, is 404. */
export const registry = (token: string, models: readonly string[]): Service => {
  const there = new Set(models);
  return new Service({
    path: '/api/v1/quarantine',
    token,
    action: 'quarantine',
    fields: [...COMMON, 'model_name', 'model_path'],
    answer: async ({ incident_id, model_name: name, model_path: path }) => {
      if (name === undefined && path === undefined) return [400, { error: 'model_name or model_path is required' }];
      const model = name ?? path!;
      return there.delete(model)
        ? [200, { status: 'quarantined', name: model, incident_id }]
        : [404, { error: 'model not found' }];
    },
  });
};

/** The vault's broker: it claims requests in one directory, and puts results into another. */
export class VaultBroker {
  readonly taken: Fields[] = [];
  readonly refused: string[] = [];
  readonly #directory: string;
  readonly #looks: NodeJS.Timeout;

  /** @param directory where `requests` and `results` are */
  constructor(directory: string) {
    this.#directory = directory;
    for (const name of ['requests', 'processing', 'results']) mkdirSync(join(directory, name), { recursive: true });
    this.#looks = setInterval(() => this.#look(), 50);
  }

  get directory(): string {
    return this.#directory;
  }

  async close(): Promise<void> {
    clearInterval(this.#looks);
  }

  #look(): void {
    for (const name of readdirSync(join(this.#directory, 'requests'))) {
      // What is not finished has a name of its own.
      if (!name.endsWith('.json') || name.startsWith('.')) continue;
      const claimed = join(this.#directory, 'processing', name);
      renameSync(join(this.#directory, 'requests', name), claimed);
      const fields = statSync(claimed).size > 4096 ? undefined : fieldsOf(readFileSync(claimed, 'utf8'));
      rmSync(claimed);
      const id = name.slice(0, -'.json'.length);
      const isGood =
        fields?.action === 'relock' &&
        fields.incident_id === id &&
        Object.keys(fields).every((key) => COMMON.includes(key));
      if (isGood) this.taken.push(fields);
      else this.refused.push(name);
      const error = isGood ? {} : { error: 'request action or incident id mismatch' };
      const unfinished = join(this.#directory, 'results', '.result-1');
      writeFileSync(unfinished, `${JSON.stringify({ ...error, incident_id: id, success: isGood })}\n`, { mode: 0o640 });
      renameSync(unfinished, join(this.#directory, 'results', name));
    }
  }
}
