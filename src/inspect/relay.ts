/**
 * Hands inspection events on to the Stately Inspector, which is a web page: a page of our own on the loopback frames it
 * and passes on to it what arrives here. (The package's own server listens on every address and asks nobody's name.)
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { StatelyInspectionEvent } from '@statelyai/inspect';

const INSPECTOR = 'https://stately.ai';

/** How many events a page gets that is opened later. */
const MAX_KEPT = 1000;

const PAGE = `<!doctype html>
<title>Incident recorder: Stately Inspector</title>
<style>html, body, iframe { margin: 0; border: 0; width: 100%; height: 100%; display: block }</style>
<iframe src="${INSPECTOR}/inspect"></iframe>
<script>
  const inspector = document.querySelector('iframe').contentWindow;
  addEventListener('message', ({ origin, data }) => {
    if (origin !== '${INSPECTOR}' || data?.type !== '@statelyai.connected') return;
    new EventSource('/events').onmessage = (message) => inspector.postMessage(JSON.parse(message.data), '${INSPECTOR}');
  }, { once: true });
</script>
`;

export class InspectorRelay {
  readonly #server: Server;
  readonly #pages = new Set<ServerResponse>();
  #kept: readonly string[] = [];

  /** Listens on the loopback; port 0 lets the system choose. */
  static async listen(port: number): Promise<InspectorRelay> {
    const relay = new InspectorRelay();
    relay.#server.listen(port, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

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
    // Another page could have its own name point at the loopback to read what is shown here.
    if (headers.host !== new URL(this.url).host) response.writeHead(403).end();
    else if (url === '/') response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(PAGE);
    else if (url === '/events') this.#follow(response);
    else response.writeHead(404).end();
  }

  #follow(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(`:\n\n${this.#kept.join('')}`);
    this.#pages.add(response);
    response.once('close', () => this.#pages.delete(response));
  }
}
