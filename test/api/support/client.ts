import { once } from 'node:events';
import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { createApp } from '../../../src/api/app.ts';
import type { ApiDependencies } from '../../../src/api/dependencies.ts';
import { ApiServer, LIMITS, type Limits } from '../../../src/api/server/api-server.ts';
import { systemClock } from '../../../src/clock.ts';
import type { BindAddress } from '../../../src/config.ts';
import { TOKEN } from './dependencies.ts';

const servers: ApiServer[] = [];

/** Serves the API until `stopServing`, by default on a free port of the loopback. */
export const serve = async (
  dependencies: ApiDependencies,
  limits: Partial<Limits> = {},
  bind: BindAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 },
): Promise<ApiServer> => {
  const application = createApp(dependencies).callback();
  const server = await ApiServer.listen(
    application,
    [bind],
    { log: dependencies.log, clock: systemClock, access: dependencies.access },
    { ...LIMITS, ...limits },
  );
  servers.push(server);
  return server;
};

/** Ends every server of a test, cutting the connections that are left. */
export const stopServing = async (): Promise<void> => {
  await Promise.all(servers.splice(0).map((server) => server.close(0)));
};

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The text, read as JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  readonly body: any;
}

interface Question {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Sent in one piece with its length, or, where there are several, in chunks. */
  readonly body?: string | Buffer | readonly (string | Buffer)[];
}

/** Asks once, on a connection of its own. */
export const ask = async (server: ApiServer, path: string, question: Question = {}): Promise<Answer> => {
  const { method = 'GET', headers = {}, body = [] } = question;
  const outgoing = request({ ...target(server), method, path, headers, agent: false });
  if (typeof body === 'string' || Buffer.isBuffer(body)) {
    if (!('Transfer-Encoding' in headers)) outgoing.setHeader('Content-Length', Buffer.byteLength(body));
    outgoing.end(body);
  } else {
    for (const chunk of body) outgoing.write(chunk);
    outgoing.end();
  }
  const [incoming] = await once(outgoing, 'response');
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
  const isJson = incoming.headers['content-type'] === 'application/json' && text !== '';
  return { status: incoming.statusCode, headers: incoming.headers, text, body: isJson ? JSON.parse(text) : undefined };
};

/** Sends a command with the token; what is no text or bytes yet is written as JSON. */
export const command = (
  server: ApiServer,
  path: string,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): Promise<Answer> => {
  const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return ask(server, path, { method: 'POST', headers: { Authorization: `Bearer ${TOKEN}`, ...headers }, body: bytes });
};

/** A plain connection to the server. */
export const dial = async (server: ApiServer): Promise<Socket> => {
  const { host, port, socketPath } = target(server);
  const socket = socketPath === undefined ? connect({ host: host ?? '', port: port ?? 0 }) : connect(socketPath);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
};

/** Everything that arrives on a connection until it is closed, or reset. */
export const received = async (socket: Socket): Promise<string> => {
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk) => (text += chunk));
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return text;
};

/** Sends bytes on a connection of their own and gives all that comes back. */
export const exchange = async (server: ApiServer, bytes: string): Promise<string> => {
  const socket = await dial(server);
  socket.write(bytes, 'latin1');
  return received(socket);
};

const target = ({ address }: ApiServer): { host?: string; port?: number; socketPath?: string } =>
  address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port };
