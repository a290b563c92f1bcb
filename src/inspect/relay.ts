/**
 * Serves the page of `npm run inspect` on the loopback, and sends it every inspection event.
 *
 * The page lists the actors itself, and frames the Stately Inspector, a page of stately.ai, which draws their charts. (The
 * inspector package has a server of its own, but that listens on every address and asks for no credential.)
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { StatelyInspectionEvent } from '@statelyai/inspect';
import { RecorderError } from '../errors.ts';

/** How many past events a page gets when it is opened. */
const MAX_KEPT = 1000;

const PAGE = readFileSync(new URL('page.html', import.meta.url));

export class InspectorRelay {
  readonly #server: Server;
  readonly #pages = new Set<ServerResponse>();
  #kept: readonly string[] = [];

  /**
   * Listens on the loopback; port 0 lets the system choose.
   * @throws RecorderError `config` when the port is taken
   */
  static async listen(port: number): Promise<InspectorRelay> {
    const relay = new InspectorRelay();
    relay.#server.listen(port, '127.0.0.1');
    try {
      await once(relay.#server, 'listening');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      throw new RecorderError('config', `port ${port} is taken: end the other inspector first`, { cause: error });
    }
    return relay;
  }

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Sends an event to every open page, and keeps it for later ones. */
  send(event: StatelyInspectionEvent): void {
    const message = `data: ${JSON.stringify(event)}\n\n`;
    this.#kept = [...this.#kept, message].slice(-MAX_KEPT);
    for (const page of this.#pages) page.write(message);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer({ url, headers }: IncomingMessage, response: ServerResponse): void {
    // A foreign page could let its own host name point at the loopback, to read what is shown here.
    if (headers.host !== new URL(this.url).host) response.writeHead(403).end();
    else if (url === '/') response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(PAGE);
    else if (url === '/events') this.#follow(response);
    else response.writeHead(404, { 'Content-Type': 'text/plain' }).end('not found\n');
  }

  #follow(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(`:\n\n${this.#kept.join('')}`);
    this.#pages.add(response);
    response.once('close', () => this.#pages.delete(response));
  }
}
