/**
 * Responds to what never becomes a request of the application: bytes that are no HTTP, headers that are too long,
 * clients that are too slow, expectations that can't be met, strangers for whom there is no time now. The responses are
 * JSON like all others, and repeat nothing of what was sent.
 */
import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../clock.ts';
import type { ApiLogger } from '../dependencies.ts';
import { RETRY_AFTER_SECONDS } from '../respond.ts';
import { RefusalLog } from '../../refusal-log.ts';

/** By the code of the error that Node gives. */
const REFUSALS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request took too long to arrive'],
  HPE_HEADER_OVERFLOW: [431, 'headers too long'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'chunk extensions too long'],
};

const JSON_HEADERS = {
  'Content-Type': 'application/json',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
};

export class UnparsedRequests {
  readonly #log: ApiLogger;
  readonly #lines: RefusalLog;

  constructor(log: ApiLogger, clock: Pick<Clock, 'monotonic'>) {
    this.#log = log;
    this.#lines = new RefusalLog(clock, (leftOut) => log.info(leftOut, 'lines of refused requests left out'));
  }

  /** Responds on a connection from which no request could be read, and closes it. */
  refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
    const [status, message] = REFUSALS[error.code ?? ''] ?? [400, 'malformed HTTP request'];
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    this.#write(status, error.code);
    this.#end(socket, responseText(status, message));
  }

  /** Refuses a new connection for which there is no time now, without a look at what it asks for. */
  refuseConnectionForNow(socket: Duplex): void {
    this.#write(503);
    this.#end(socket, BUSY);
  }

  /** Refuses a request with an `Expect` header other than `100-continue` (RFC 9110, section 10.1.1). */
  refuseExpectation(response: ServerResponse): void {
    this.#write(417);
    respond(response, 417, 'expectation not supported');
  }

  /** Refuses a request for which there is no time now, without a look at what it asks for. */
  refuseForNow(response: ServerResponse): void {
    this.#write(503);
    response.setHeader('Retry-After', RETRY_AFTER_SECONDS);
    respond(response, 503, BUSY_MESSAGE);
  }

  /** Reports what was left out of the log. */
  close(): void {
    this.#lines.close();
  }

  /** Does not wait for the client to close its side: a refused connection must not keep its place. */
  #end(socket: Duplex, text: string): void {
    socket.end(text, () => socket.destroy());
  }

  #write(status: number, code?: string): void {
    if (this.#lines.admits(status)) this.#log.info({ status, ...(code !== undefined && { code }) }, 'request refused');
  }
}

const BUSY_MESSAGE = 'too many requests without the service token; try again';

/** The text of a response on a connection that is closed behind it. */
const responseText = (status: number, message: string, headers: Readonly<Record<string, string>> = {}): string => {
  const body = JSON.stringify({ error: message });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...Object.entries({ ...JSON_HEADERS, ...headers }).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
};

const BUSY = responseText(503, BUSY_MESSAGE, { 'Retry-After': RETRY_AFTER_SECONDS });

const respond = (response: ServerResponse, status: number, message: string): void => {
  const body = JSON.stringify({ error: message });
  response.writeHead(status, { ...JSON_HEADERS, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
};
