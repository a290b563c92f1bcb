/** A request to the service from the command line, over TCP or its unix socket. */
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';

export const DEFAULT_URL = 'http://127.0.0.1:8515';

export interface Connection {
  /** `http://host:port`, or `unix:/path` of its socket. */
  readonly url: string;
  /** The file that holds the service token. */
  readonly tokenPath: string;
}

export interface Answer {
  readonly status: number;
  /** The body, read as JSON. */
  readonly body: { readonly [field: string]: unknown };
}

/** The service could not be reached; the message says what to do. */
export class NotReachable extends Error {
  override readonly name = 'NotReachable';
}

const TIMEOUT = 60_000;

/**
 * Sends a command with the token in its header.
 * @throws NotReachable, and whatever reading the token's file throws
 */
export async function post({ url, tokenPath }: Connection, path: string, body: object): Promise<Answer> {
  const token = readFileSync(tokenPath, 'utf8').trim();
  const target = url.startsWith('unix:')
    ? { socketPath: url.slice('unix:'.length), host: 'localhost' }
    : { host: new URL(url).hostname.replace(/^\[|\]$/g, ''), port: new URL(url).port };
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ ...target, method: 'POST', path, headers, timeout: TIMEOUT }, resolve);
    sent.once('timeout', () => sent.destroy(new Error('it does not answer')));
    sent.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new NotReachable(`no service at ${url} (${error.code ?? error.message}): start it, or name it with --url`),
      );
    });
    sent.end(JSON.stringify(body));
  });
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as Answer['body'],
  };
}
