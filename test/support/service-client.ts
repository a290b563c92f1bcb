import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';

export const TOKEN = 'a-token-for-tests-0123456789';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  readonly json: any;
}

export interface RequestOptions {
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Sends requests to a service, on connections that are kept. */
export abstract class ServiceClient {
  readonly #agent = new Agent({ keepAlive: true });

  /** Where the service listens. */
  protected abstract get address(): { readonly port?: number | undefined; readonly path?: string | undefined };

  get port(): number {
    return this.address.port!;
  }

  async send(
    method: string,
    path: string,
    { token = TOKEN, headers = {}, body }: RequestOptions = {},
  ): Promise<Answer> {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const { port, path: socketPath } = this.address;
    const sent = request({
      ...(socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath }),
      agent: this.#agent,
      method,
      path,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        ...headers,
      },
    });
    sent.end(text);
    const [response] = (await once(sent, 'response').catch((cause: Error) => {
      const connection = sent.reusedSocket ? 'a connection that was kept' : 'a new connection';
      throw new Error(`${method} ${path} on ${connection}: ${cause.message}`, { cause });
    })) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const received = Buffer.concat(chunks).toString('utf8');
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: received,
      json: response.headers['content-type']?.startsWith('application/json') ? JSON.parse(received) : undefined,
    };
  }

  get(path: string): Promise<Answer> {
    return this.send('GET', path, { token: null });
  }

  post(path: string, body?: unknown, options: RequestOptions = {}): Promise<Answer> {
    return this.send('POST', path, { ...options, body });
  }

  report(
    fields: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const body = { class: 'prompt_injection', source: 'tool-firewall', description: 'a test report', ...fields };
    return this.post('/api/v1/incidents/report', body, { headers });
  }

  /** Closes the connections; they are opened again when something is sent. */
  protected disconnect(): void {
    this.#agent.destroy();
  }
}
