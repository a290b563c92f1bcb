/** A stranger that has taken the recorder's address, as a real HTTP server: it answers everything as if it were one. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const POSTURE = {
  action: 'freeze_agent',
  engaged: false,
  since: null,
  holders: 0,
  held_by: [],
  via: 'poll',
  heard_at: null,
  delivery: null,
};

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly text: string;
}

export interface SquatterOptions {
  /** Gives another answer than its own. */
  readonly answer?: (request: IncomingMessage) => Promise<Answer>;
}

/** What the recorder would answer whose action is not engaged, and that takes every report. */
function ownAnswer({ url }: IncomingMessage): Answer {
  const isReport = url?.endsWith('/report') ?? false;
  const text = JSON.stringify(isReport ? { id: 'INC-fake', state: 'contained' } : POSTURE);
  const headers = { 'content-type': 'application/json', 'content-length': String(text.length), etag: '"1"' };
  return { status: isReport ? 201 : 200, headers, text };
}

export class Squatter {
  /** The token headers that it was sent, and the bodies. */
  readonly tokens: string[] = [];
  readonly bodies: string[] = [];
  /** The request lines that it got. */
  readonly asked: string[] = [];
  readonly #server: Server;

  private constructor({ answer = async (incoming) => ownAnswer(incoming) }: SquatterOptions) {
    this.#server = createServer((incoming, response) => {
      void (async () => {
        let body = '';
        for await (const chunk of incoming.setEncoding('utf8')) body += chunk;
        this.asked.push(`${incoming.method} ${incoming.url}`);
        if (body !== '') this.bodies.push(body);
        if (incoming.headers.authorization !== undefined) this.tokens.push(incoming.headers.authorization);
        const { status, headers, text } = await answer(incoming);
        response.writeHead(status, headers).end(text);
      })().catch(() => response.destroy());
    });
  }

  /** @param where a port, 0 for any, or the path of a unix socket */
  static async listen(where: number | string, options: SquatterOptions = {}): Promise<Squatter> {
    const squatter = new Squatter(options);
    if (typeof where === 'string') squatter.#server.listen(where);
    else squatter.#server.listen(where, '127.0.0.1');
    await once(squatter.#server, 'listening');
    return squatter;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Takes no new connections, and keeps those that it has. */
  async leaveAddress(): Promise<void> {
    this.#server.close();
    await new Promise(setImmediate);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await new Promise(setImmediate);
  }
}

/** Sends a request on to another recorder as it came; gives the answer's status, headers and text. */
export async function relayed(
  { method = '', url = '', headers }: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  to: { readonly port: number } | { readonly socketPath: string },
): Promise<Answer> {
  const sent = request({ host: '127.0.0.1', ...to, method, path: url, headers, agent: false }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, text };
}
