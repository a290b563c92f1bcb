/** Small strict servers over real HTTP. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** A server that can go away and come back on the same port. */
export abstract class TestServer {
  #server: Server | undefined;
  #port = 0;
  /** What went wrong in a handler: a test looks that there is nothing. */
  readonly faults: string[] = [];
  /** Whether requests are taken and never answered. */
  isStuck = false;

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      if (this.isStuck) return;
      this.handle(request, response).catch((error: unknown) => {
        if (request.socket.destroyed || response.destroyed) return;
        this.faults.push(String((error as Error).stack));
        response.destroy();
      });
    });
    server.keepAliveTimeout = 60_000;
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  protected abstract handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}
