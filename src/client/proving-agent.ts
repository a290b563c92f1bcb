/**
 * Connections to a recorder that has proved that it knows the service token.
 *
 * A new connection is used for one anonymous request with a challenge first (`GET /livez`). Only when the response
 * carries the right proof does the connection go to the requests that wait for one, so neither the token nor a report
 * leaves for anything else, and no answer of anything else is read. The proof covers both ends of the connection, so one
 * that is relayed from another connection is wrong. A connection that was proved stays with the same process for as long
 * as it is open: nothing has to be proved again on it.
 */
import { connect, type Socket } from 'node:net';
import type { AgentOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import { SECOND } from '../clock.ts';
import { challenge } from '../challenge.ts';
import { proofKeyOf } from '../proof.ts';
import { Impostor } from './errors.ts';

const { Agent } = process.getBuiltinModule('node:http');

/** How long a proof may take. A long poll must not wait longer for one who never answers. */
const PROOF_WITHIN = 10 * SECOND;

export type Endpoint =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly secure?: true };

export interface ProvingAgentOptions {
  /** Where the recorder is, as the user wrote it: for messages. */
  readonly url: string;
  readonly endpoint: Endpoint;
  /** Reads the service token. */
  readonly token: () => Promise<string>;
  /** The file that the token is in: for messages. */
  readonly tokenPath: string;
}

/** Options of a request through this agent. Node keeps `signal` to itself, so the agent gets it under another name. */
export interface ProvedRequestOptions {
  /** When it is aborted nobody waits for the connection any more. */
  readonly abandoned: AbortSignal;
}

export class ProvingAgent extends Agent {
  readonly #options: ProvingAgentOptions;
  /** The connections that are not proved yet. */
  readonly #unproved = new Set<Socket>();

  constructor(options: ProvingAgentOptions) {
    super({ keepAlive: true });
    this.#options = options;
  }

  /** Called by Node for each new connection. */
  override createConnection(
    { abandoned }: AgentOptions & Partial<ProvedRequestOptions>,
    whenConnected?: (error: Error | null, connection: Duplex) => void,
  ): undefined {
    const failed = (error: unknown): void => whenConnected?.(error as Error, undefined as never);
    this.#connect(abandoned).then((socket) => whenConnected?.(null, socket), failed);
  }

  override destroy(): void {
    super.destroy();
    for (const socket of this.#unproved) socket.destroy();
  }

  /** Opens a connection and lets the recorder prove itself on it. */
  async #connect(signal: AbortSignal | undefined): Promise<Socket> {
    const { endpoint, url, tokenPath } = this.#options;
    const key = proofKeyOf(await this.#options.token());
    signal?.throwIfAborted();
    const socket = connect('socketPath' in endpoint ? { path: endpoint.socketPath } : { ...endpoint, noDelay: true });
    const abort = (): void => void socket.destroy(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const limit = setTimeout(() => socket.destroy(new Error(`no proof within ${PROOF_WITHIN} ms`)), PROOF_WITHIN);
    this.#unproved.add(socket);
    try {
      const fault = await challenge(socket, key, 'socketPath' in endpoint ? endpoint.socketPath : undefined);
      if (fault === undefined) return socket;
      const message = `impostor at ${url}: what answers there has not proved that it knows the token in ${tokenPath} (${fault})`;
      throw new Impostor(message);
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(limit);
      this.#unproved.delete(socket);
      signal?.removeEventListener('abort', abort);
    }
  }
}
