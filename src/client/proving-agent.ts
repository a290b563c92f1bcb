/**
 * Connections to a recorder that has proved that it knows the service token.
 *
 * A new connection is used for one anonymous request with a challenge first (`GET /livez`). Only when the response
 * carries the right proof does the connection go to the requests that wait for one, so neither the token nor a report
 * leaves for anything else, and no answer of anything else is read. The proof covers both ends of the connection, so one
 * that is relayed from another connection is wrong. A connection that was proved stays with the same process for as long
 * as it is open: nothing has to be proved again on it.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { AgentOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import { SECOND } from '../clock.ts';
import { addressText, bodyDigest, NO_ADDRESS, proofKeyIdOf, proofKeyOf, proofOf } from '../proof.ts';
import { Impostor } from './errors.ts';

const { Agent } = process.getBuiltinModule('node:http');

const TARGET = '/livez';
/** How long a proof may take. A long poll must not wait longer for one who never answers. */
const PROOF_WITHIN = 10 * SECOND;
/** In bytes. More than the recorder sends as headers and body together. */
const LONGEST_ANSWER = 16 * 1024;

export type Endpoint = { readonly socketPath: string } | { readonly host: string; readonly port: number };

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
      const fault = await challenge(socket, key, endpoint);
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

/**
 * Sends the challenge on a connection that is being opened, and checks the answer.
 * @returns what is wrong with the answer; undefined when it is proved
 * @throws the connection's error, also when it ends without an answer
 */
async function challenge(socket: Socket, key: Buffer, endpoint: Endpoint): Promise<string | undefined> {
  const nonce = randomBytes(32).toString('base64url');
  socket.write(
    `GET ${TARGET} HTTP/1.1\r\nHost: localhost\r\n` +
      `Recorder-Challenge: nonce=${nonce}; key=${proofKeyIdOf(key)}\r\n\r\n`,
  );
  const answer = await answerOn(socket);
  if (typeof answer === 'string') return answer;
  if (answer.proof === undefined) return 'no Recorder-Proof in its answer';
  const ends =
    'socketPath' in endpoint
      ? { recorder: `unix:${endpoint.socketPath}`, client: NO_ADDRESS }
      : {
          recorder: addressText(socket.remoteAddress ?? '', socket.remotePort ?? 0),
          client: addressText(socket.localAddress ?? '', socket.localPort ?? 0),
        };
  const body = bodyDigest(answer.body);
  const expected = proofOf(key, { nonce, method: 'GET', target: TARGET, ...ends, status: answer.status, body });
  const isRight = timingSafeEqual(Buffer.from(answer.proof, 'hex'), Buffer.from(expected, 'hex'));
  return isRight ? undefined : 'the Recorder-Proof in its answer is wrong';
}

interface Answer {
  readonly status: number;
  readonly proof: string | undefined;
  readonly body: Buffer;
}

/** Reads one response, and leaves the connection to its next user. Returns what is wrong when it is not the recorder's. */
function answerOn(socket: Socket): Promise<Answer | string> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const settle = (settleWith: () => void): void => {
      socket.off('data', onData).off('error', onError).off('close', onClose).off('end', onClose);
      settleWith();
    };
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const answer = parsedAnswer(received);
      if (answer !== undefined) settle(() => resolve(answer));
    };
    const onError = (error: Error): void => settle(() => reject(error));
    const onClose = (): void => settle(() => reject(new Error('the connection was closed')));
    socket.on('data', onData).on('error', onError).on('close', onClose).on('end', onClose);
  });
}

/** The response in these bytes; undefined when there is more to come; a text that says why it is not the recorder's. */
function parsedAnswer(received: Buffer): Answer | string | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (received.length > LONGEST_ANSWER) return 'its answer is too long';
  if (headEnd === -1) return undefined;
  const head = received.toString('latin1', 0, headEnd);
  const status = /^HTTP\/1\.1 (\d{3})(?: |\r|$)/.exec(head)?.[1];
  const length = /^content-length: *(\d{1,5}) *\r?$/im.exec(head)?.[1];
  if (status === undefined || length === undefined) return 'its answer is not that of a recorder';
  const body = received.subarray(headEnd + 4);
  if (body.length > Number(length)) return 'its answer is longer than it says';
  if (body.length < Number(length)) return undefined;
  const proof = /^recorder-proof: *([\da-f]{64}) *\r?$/im.exec(head)?.[1];
  return { status: Number(status), proof, body };
}
