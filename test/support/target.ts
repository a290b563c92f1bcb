/** A service that carries out containment, as a real HTTP server on TCP or on a unix socket. */
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  readonly body: any;
}

/** What the target does with a request: answers with a status, or something worse. */
export type Behaviour = (response: ServerResponse, received: Received) => void;

export const answering =
  (status: number, body = '', headers: Readonly<Record<string, string>> = {}): Behaviour =>
  (response) =>
    response.writeHead(status, headers).end(body);

/** Takes the request and never answers. */
export const hanging: Behaviour = () => {};

/** Begins an answer and dies in its middle. */
export const dyingInMidAnswer: Behaviour = (response) => {
  response.writeHead(200, { 'content-length': '100' });
  response.write('half of it', () => response.socket?.destroy());
};

export class Target {
  readonly received: Received[] = [];
  /** What it does with the next requests, in their order; the last is done with all further ones. */
  behaviours: Behaviour[];
  readonly #server: Server;
  #arrived: () => void = () => {};

  private constructor(behaviours: Behaviour[]) {
    this.behaviours = behaviours;
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  /** @param where a port, 0 for any, or the path of a unix socket */
  static async listen(where: number | string = 0, ...behaviours: Behaviour[]): Promise<Target> {
    const target = new Target(behaviours.length === 0 ? [answering(200, '{"success":true}')] : behaviours);
    if (typeof where === 'string') target.#server.listen(where);
    else target.#server.listen(where, '127.0.0.1');
    await once(target.#server, 'listening');
    return target;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** Waits until it has received so many requests. */
  async receives(count: number): Promise<readonly Received[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    return this.received;
  }

  /** How many connections it has now. */
  connections(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.getConnections((_error, count) => resolve(count));
    });
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const received = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: JSON.parse(Buffer.concat(parts).toString()) as unknown,
    };
    this.received.push(received);
    const behaviour = this.behaviours.length > 1 ? this.behaviours.shift() : this.behaviours[0];
    behaviour?.(response, received);
    this.#arrived();
  }
}

/** Gives a function that starts targets, which are closed after the test (called inside `describe`). */
export function listeningTargets(): typeof Target.listen {
  const listening: Target[] = [];
  afterEach(async () => {
    await Promise.all(listening.splice(0).map((target) => target.close()));
  });
  return async (...args) => {
    const target = await Target.listen(...args);
    listening.push(target);
    return target;
  };
}
