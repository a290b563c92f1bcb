/** The address of a database: connections go to the server that has the part of the primary now. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export class DatabaseProxy {
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer({ allowHalfOpen: false }, (client) => this.#join(client));
  #port: number;
  #isSilent = false;

  /** @param port of the server */
  constructor(port: number) {
    this.#port = port;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  /** The URL of a database by this way. */
  url(direct: string): string {
    const url = new URL(direct);
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  /** Breaks all connections; new ones go to another server. */
  turnTo(port: number): void {
    this.#port = port;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets nothing through any more, as a network that is cut: nobody hears that connections have ended. */
  silence(): void {
    this.#isSilent = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Lets new connections through. Those of before stay as silent as they are. */
  speak(): void {
    this.#isSilent = false;
  }

  async end(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(client: Socket): void {
    this.#keep(client);
    if (this.#isSilent) {
      client.pause();
      return;
    }
    const server = connect(this.#port, '127.0.0.1');
    this.#keep(server);
    const pass = (from: Socket, to: Socket): void => {
      from.on('data', (chunk: Buffer) => {
        if (!to.write(chunk) && !this.#isSilent) {
          from.pause();
          to.once('drain', () => this.#isSilent || from.resume());
        }
      });
      from.once('close', () => to.destroy());
    };
    pass(client, server);
    pass(server, client);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
