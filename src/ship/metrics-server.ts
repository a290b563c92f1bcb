/** Serves `/metrics` on a port of the loopback, or on a unix socket. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { chmodSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { SECOND } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { isLoopback } from '../loopback.ts';
import { type Exposition, FORMATS } from '../metrics/exposition.ts';

const { createServer } = process.getBuiltinModule('node:http');

/** Scrapers are one or two. */
const MOST_CONNECTIONS = 8;
const SOCKET_MODE = 0o660;
const [OPEN_METRICS, PLAIN] = FORMATS;

/**
 * Begins to listen.
 * @param address `host:port` of the loopback, `[::1]:port`, or `unix:/path`
 * @throws RecorderError `config` for another address
 */
export async function serveMetrics(address: string, exposition: Exposition): Promise<Server> {
  const server = createServer((request, response) => void answer(exposition, request, response));
  server.maxConnections = MOST_CONNECTIONS;
  server.headersTimeout = 5 * SECOND;
  server.requestTimeout = 5 * SECOND;
  const place = placeOf(address);
  if ('path' in place) rmSync(place.path, { force: true });
  server.listen(place);
  await once(server, 'listening');
  if ('path' in place) chmodSync(place.path, SOCKET_MODE);
  return server;
}

async function answer(exposition: Exposition, { method, url, headers }: IncomingMessage, response: ServerResponse) {
  if (url?.split('?')[0] !== '/metrics') return void response.writeHead(404).end();
  if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405, { allow: 'GET' }).end();
  const format = headers.accept?.includes('openmetrics') ? OPEN_METRICS : PLAIN;
  const text = await exposition.render(format);
  response.writeHead(200, { 'content-type': format, 'cache-control': 'no-store' });
  response.end(method === 'HEAD' ? undefined : text);
}

function placeOf(address: string): { readonly path: string } | { readonly host: string; readonly port: number } {
  if (address.startsWith('unix:/')) return { path: address.slice('unix:'.length) };
  const [, host = '', port = ''] = /^(?:\[?([^\]]+?)\]?):(\d{1,5})$/.exec(address) ?? [];
  if (host === '' || Number(port) > 65_535 || !isLoopback(host)) {
    throw new RecorderError(
      'config',
      `metrics are served on the loopback (host:port) or unix:/path, not on ${address}`,
    );
  }
  return { host, port: Number(port) };
}
