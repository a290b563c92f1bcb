/**
 * Proves to a client that this recorder knows the service token: a response to a request with `Recorder-Challenge`
 * carries `Recorder-Proof` (`src/client/README.md`).
 *
 * It works on Node's response, below Koa, so that refusals carry the proof too. A challenge that is malformed, or that
 * names another key, gets no proof, and the rest of the response stays the same.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  addressText,
  bodyDigest,
  CHALLENGE_HEADER,
  NO_ADDRESS,
  PROOF_HEADER,
  type ProvedExchange,
  proofOf,
  STREAM,
} from '../../proof.ts';

/** Finds the key that a challenge names; `ServiceToken` does it. */
export interface ProofKeys {
  proofKey(id: string): Buffer | undefined;
}

const CHALLENGE = /^nonce=([\w-]{22,64}); ?key=([\da-f]{16})$/;

/**
 * Whether a challenge names a key that the recorder knows. That is no secret, so it proves nothing about the client.
 */
export const namesKey = (challenge: string, keys: ProofKeys): boolean => {
  const [, , id] = CHALLENGE.exec(challenge) ?? [];
  return id !== undefined && keys.proofKey(id) !== undefined;
};

/**
 * Lets the response to a challenge carry the proof. Does nothing for a request without one.
 *
 * @param socketPath the path of the unix socket at which the request arrived; undefined over TCP
 */
export function proveResponse(
  request: IncomingMessage,
  response: ServerResponse,
  keys: ProofKeys,
  socketPath: string | undefined,
): void {
  const header = request.headers[CHALLENGE_HEADER];
  if (header === undefined) return;
  const [, nonce, id] = CHALLENGE.exec(String(header)) ?? [];
  if (nonce === undefined || id === undefined) return;
  const key = keys.proofKey(id);
  if (key === undefined) return;
  // The target is rewritten later where it is an absolute URL.
  const exchange = { nonce, method: request.method ?? '', target: request.url ?? '', ...ends(request, socketPath) };
  sign(response, (status, body) => proofOf(key, { ...exchange, status, body }));
}

/** The two ends of the connection. */
function ends(
  { socket }: IncomingMessage,
  socketPath: string | undefined,
): Pick<ProvedExchange, 'recorder' | 'client'> {
  if (socketPath !== undefined) return { recorder: `unix:${socketPath}`, client: NO_ADDRESS };
  const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
  return { recorder: addressText(localAddress, localPort), client: addressText(remoteAddress, remotePort) };
}

/** Responses that have no body, whatever is passed to `end`: RFC 9110, section 6.4.1. */
const BODILESS: ReadonlySet<number> = new Set([204, 304]);

/**
 * Sets the header at the last moment. A response that ends at once is signed with its body; one whose headers leave
 * before that is a stream.
 */
function sign(response: ServerResponse, proof: (status: number, body: string) => string): void {
  const writeHead = response.writeHead.bind(response);
  const end = response.end.bind(response);
  let isSigned = false;
  const signAs = (status: number, body: string): void => {
    if (isSigned || response.headersSent) return;
    isSigned = true;
    response.setHeader(PROOF_HEADER, proof(status, body));
  };
  const isBodiless = (): boolean => response.req.method === 'HEAD' || BODILESS.has(response.statusCode);
  Object.assign(response, {
    writeHead: (...args: Parameters<typeof writeHead>) => {
      signAs(args[0], STREAM);
      return writeHead(...args);
    },
    end: (...args: Parameters<typeof end>) => {
      const [chunk] = args as readonly unknown[];
      const isBody = typeof chunk === 'string' || chunk instanceof Uint8Array;
      signAs(response.statusCode, bodyDigest(isBody && !isBodiless() ? chunk : ''));
      return end(...args);
    },
  });
}
