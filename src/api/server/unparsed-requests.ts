/**
 * Responses to what never becomes a request of the application: bytes that are no HTTP, headers that are too long,
 * clients that are too slow, expectations that can't be met. They are JSON like all others, and repeat nothing of what
 * was sent.
 */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ApiLogger } from '../dependencies.ts';

/** By the code of the error that Node gives. */
const REFUSALS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request took too long to arrive'],
  HPE_HEADER_OVERFLOW: [431, 'headers too long'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'chunk extensions too long'],
};

/** Responds on a connection from which no request could be read, and closes it. */
export const refuseConnection = (error: NodeJS.ErrnoException, socket: Duplex, log: ApiLogger): void => {
  const [status, message] = REFUSALS[error.code ?? ''] ?? [400, 'malformed HTTP request'];
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  log.info({ status, code: error.code }, 'request refused');
  const body = JSON.stringify({ error: message });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ];
  // Do not wait for the client to close its side: a refused connection must not keep its place.
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
};

/** Refuses a request with an `Expect` header other than `100-continue` (RFC 9110, section 10.1.1). */
export const refuseExpectation = (_request: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(417, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify({ error: 'expectation not supported' }));
};
